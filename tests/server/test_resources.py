"""Resources through the in-memory client, in both protocol eras, against the emulator."""

import base64
import hashlib
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, MCPError
from mcp.types import INTERNAL_ERROR, INVALID_PARAMS, BlobResourceContents, TextResourceContents
from PIL import Image
from tests.conftest import Connect

from mediagen.catalog import Catalog
from mediagen.pricing import Prices
from mediagen.server.resources.answers import PAGE
from mediagen.server.resources.contents import LARGEST_RESOURCE

FIXED = ["mediagen://models", "mediagen://prices", "ui://mediagen/viewer"]


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    assert isinstance(result.structured_content, dict)
    return result.structured_content


async def read_bytes(client: Client, uri: str) -> tuple[str | None, bytes]:
    content = (await client.read_resource(uri)).contents[0]
    assert isinstance(content, BlobResourceContents)
    return content.mime_type, base64.b64decode(content.blob)


async def read_json(client: Client, uri: str) -> dict[str, Any]:
    content = (await client.read_resource(uri)).contents[0]
    assert isinstance(content, TextResourceContents)
    assert content.mime_type == "application/json"
    found = json.loads(content.text)
    assert isinstance(found, dict)
    return found


async def refusal(client: Client, uri: str) -> tuple[int, str]:
    with pytest.raises(MCPError) as refused:
        await client.read_resource(uri)
    assert refused.value.error.data == {"uri": uri}
    return refused.value.error.code, refused.value.error.message


async def test_file_is_read_whole_with_its_own_mime_type(connect: Connect):
    async with connect() as client:
        made = (await call(client, "generate_image", prompt="a fox"))["artifacts"][0]
        mime_type, data = await read_bytes(client, made["uri"])
    assert mime_type == made["mime_type"] == "image/jpeg"
    assert hashlib.sha256(data).hexdigest() == made["sha256"]


async def test_clip_is_read_as_a_video_and_previewed_as_a_small_jpeg(connect: Connect, ffmpeg: str):
    async with connect() as client:
        made = (await call(client, "generate_video", prompt="a fox"))["artifacts"][0]
        assert (await read_bytes(client, made["uri"]))[0] == "video/mp4"
        mime_type, data = await read_bytes(client, f"{made['uri']}/preview")
    assert mime_type == "image/jpeg"
    assert len(data) <= 300_000
    picture = Image.open(io.BytesIO(data))
    assert picture.format == "JPEG"
    assert max(picture.size) <= 768


async def test_file_that_is_too_large_for_a_message_says_where_it_lies(connect: Connect):
    async with connect() as client:
        made = (await call(client, "generate_image", prompt="a fox"))["artifacts"][0]
        with Path(made["path"]).open("ab") as file:
            file.write(b"\0" * LARGEST_RESOURCE)
        code, message = await refusal(client, made["uri"])
    assert code == INTERNAL_ERROR
    assert made["path"] in message
    assert str(Path(made["path"]).stat().st_size) in message
    assert f"{made['uri']}/preview" in message


async def test_file_that_was_deleted_is_not_found(connect: Connect):
    async with connect() as client:
        made = (await call(client, "generate_image", prompt="a fox"))["artifacts"][0]
        Path(made["path"]).unlink()
        for uri in (made["uri"], f"{made['uri']}/preview"):
            code, message = await refusal(client, uri)
            assert code == INVALID_PARAMS
            assert "artifact_missing" in message


async def test_job_is_the_same_as_get_job_tells(connect: Connect):
    async with connect() as client:
        job_id = (await call(client, "generate_image", prompt="a fox"))["job_id"]
        told = await call(client, "get_job", job_id=job_id)
        assert await read_json(client, f"mediagen://jobs/{job_id}") == told


async def test_models_and_prices_are_those_of_the_package_with_day_and_source(connect: Connect):
    async with connect() as client:
        models = await read_json(client, "mediagen://models")
        prices = await read_json(client, "mediagen://prices")
    assert [model["id"] for model in models["models"]] == [spec.id for spec in Catalog.load().specs]
    assert all(model["source"] and model["as_of"] for model in models["models"])
    assert models["as_of"] == Catalog.load().as_of.isoformat()
    assert {row["model"] for row in prices["prices"]} == set(Prices.load().table.rows)
    assert all(row["source"] and row["as_of"] for row in prices["prices"])
    assert prices["currency"] == "USD"


async def test_error_codes_say_what_they_mean(connect: Connect):
    async with connect() as client:
        found = await read_json(client, "mediagen://errors/unconfirmed")
        for code in ("approval_needed", "image_safety", "disk_full"):
            assert (await read_json(client, f"mediagen://errors/{code}"))["code"] == code
    assert (found["retryable"], found["billed"]) == ("no", "unknown")
    assert "resolve_job" in found["remedy"]


async def test_error_code_that_is_none_is_not_called_a_job(connect: Connect):
    async with connect() as client:
        code, message = await refusal(client, "mediagen://errors/nonsense")
    assert code == INVALID_PARAMS
    assert message.startswith("[invalid_request] There is no error code 'nonsense'.")


@pytest.mark.parametrize(
    "uri",
    [
        "mediagen://artifacts/art_00000000000000000000000000",
        "mediagen://artifacts/..%2F..%2Fetc%2Fpasswd",
        "mediagen://artifacts/%",
        "mediagen://artifacts/art_0/preview",
        "mediagen://artifacts/x/previews",
        "mediagen://jobs/job_0",
        "mediagen://jobs/job_" + "0" * 4000,
        "mediagen://jobs/",
        "mediagen://errors/none_such",
        "mediagen://models/",
        "mediagen://",
        "file:///etc/passwd",
    ],
)
async def test_what_does_not_exist_is_not_found(connect: Connect, uri: str):
    async with connect() as client:
        code, message = await refusal(client, uri)
    assert code == INVALID_PARAMS
    assert "root:" not in message


async def test_list_names_the_fixed_ones_and_the_files_newest_first(connect: Connect, work: Path):
    async with connect(MEDIAGEN_TOOLSETS="core,edit") as client:
        long = "a fox\n\x1b[31m in the snow " * 40
        first = (await call(client, "generate_image", prompt=long))["artifacts"][0]
        shutil.copy(first["path"], work / "copied.png")
        second = (await call(client, "resize_image", source="copied.png", width=64))["artifacts"][0]
        listed = (await client.list_resources()).resources
    assert [str(entry.uri) for entry in listed] == [*FIXED, second["uri"], first["uri"]]
    entry = listed[-1]
    assert entry.name == Path(first["path"]).name
    assert (entry.mime_type, entry.size) == (first["mime_type"], first["size_bytes"])
    assert entry.annotations is not None
    assert str(entry.annotations.last_modified)[:2] == "20"
    assert str(entry.description).startswith("a fox \ufffd[31m in the snow a fox")
    assert len(str(entry.description)) < 220
    assert "\n" not in str(entry.description)


async def test_list_is_paged_and_each_file_comes_once(connect: Connect):
    async with connect(MEDIAGEN_MAX_USD_PER_DAY="1000") as client:
        for number in range(14):
            await call(client, "generate_image", prompt=f"fox {number}", count=4, preview=False)
        pages, cursor = [], None
        while True:
            page = await client.list_resources(cursor=cursor)
            pages.append([str(entry.uri) for entry in page.resources])
            cursor = page.next_cursor
            if cursor is None:
                break
        with pytest.raises(MCPError) as refused:
            await client.list_resources(cursor="nonsense")
    count = 56 + len(FIXED)
    assert [len(page) for page in pages] == [PAGE, count - PAGE]
    assert len({uri for page in pages for uri in page}) == count
    assert refused.value.error.code == INVALID_PARAMS


async def test_templates_are_listed_with_titles(connect: Connect):
    async with connect() as client:
        templates = (await client.list_resource_templates()).resource_templates
    assert [template.uri_template for template in templates][:4] == [
        "mediagen://artifacts/{artifact_id}",
        "mediagen://artifacts/{artifact_id}/preview",
        "mediagen://jobs/{job_id}",
        "mediagen://errors/{code}",
    ]
    assert all(template.title and template.description for template in templates)
    assert templates[0].mime_type is None
    assert templates[1].mime_type == "image/jpeg"
