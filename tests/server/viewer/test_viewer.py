"""The viewer as a client without a browser sees it: a resource, a mark on tools, and nothing else that differs."""

import base64
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from mcp import Client, MCPError
from mcp.client.extension import ClientExtension
from mcp.types import BlobResourceContents, TextResourceContents
from tests.conftest import Connect

from mediagen.server.build import build_server
from mediagen.server.viewer.parts import PART_BYTES
from mediagen.server.viewer.viewer import VIEWER_URI, viewer_page

BUILD = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
SHOWN = {"generate_image", "generate_video", "extend_video", "get_job"}


def policy_of(page: str) -> dict[str, str]:
    """The content policy that the page sets for itself, by directive."""
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    assert found
    return dict(part.strip().split(" ", 1) for part in found[1].split(";"))


def test_page_admits_nothing_but_itself():
    policy = policy_of(viewer_page())
    assert policy["default-src"] == policy["connect-src"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["img-src"] == policy["media-src"] == "data: blob:"
    for name in ("script-src", "style-src"):
        assert re.fullmatch(r"'sha256-[\w+/]{43}='", policy[name])


def test_page_is_small_and_names_no_address():
    page = viewer_page()
    assert len(page.encode()) < 40_000
    assert not re.search(r"https?://|//[a-z0-9-]+\.[a-z]{2,}|@import|\burl\(", page)
    assert not re.search(r"<(?:link|iframe|object|embed|form)\b|\bsrc=\"|\son\w+=", page)


def test_page_never_makes_markup_of_text():
    page = viewer_page()
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser", page
    )


async def test_page_and_server_agree_on_what_one_message_holds(connect: Connect):
    assert f"const LARGEST_MESSAGE = {PART_BYTES};" in viewer_page()
    async with connect() as client:
        made = await client.call_tool("generate_image", {"prompt": "a boat", "preview": False})
        artifact = made.structured_content["artifacts"][0]
        Path(artifact["path"]).write_bytes(bytes(PART_BYTES))
        [whole] = (await client.read_resource(artifact["uri"])).contents
        Path(artifact["path"]).write_bytes(bytes(PART_BYTES + 1))
        with pytest.raises(MCPError):
            await client.read_resource(artifact["uri"])
    assert isinstance(whole, BlobResourceContents)
    assert base64.b64decode(whole.blob) == bytes(PART_BYTES)


async def test_viewer_is_offered_as_an_app_that_needs_nothing_from_outside(connect: Connect, era: str):
    async with connect() as client:
        # The handshake's capabilities have no place for extensions; hosts of that era go by the tools' metadata.
        offered = (client.server_capabilities.extensions or {}).get("io.modelcontextprotocol/ui")
        assert offered == (None if era == "legacy" else {})
        listed = {resource.uri: resource for resource in (await client.list_resources()).resources}
        [page] = (await client.read_resource(VIEWER_URI)).contents
    assert isinstance(page, TextResourceContents)
    assert page.mime_type == listed[VIEWER_URI].mime_type == "text/html;profile=mcp-app"
    assert page.text == viewer_page()
    nothing: dict[str, list[str]] = {
        "connectDomains": [],
        "resourceDomains": [],
        "frameDomains": [],
        "baseUriDomains": [],
    }
    assert page.meta == listed[VIEWER_URI].meta == {"ui": {"csp": nothing, "prefersBorder": True}}


async def test_only_tools_that_tell_about_a_paid_job_name_the_viewer(connect: Connect):
    async with connect(MEDIAGEN_TOOLSETS="core,jobs,edit") as client:
        tools = (await client.list_tools()).tools
    named = {tool.name: tool.meta["ui"] for tool in tools if tool.meta and "ui" in tool.meta}
    assert named == {name: {"resourceUri": "ui://mediagen/viewer"} for name in SHOWN}


async def test_result_is_the_same_whether_the_client_shows_apps_or_not(make_settings, era: str):
    class Shows(ClientExtension):
        identifier = "io.modelcontextprotocol/ui"

        def settings(self) -> dict[str, object]:
            return {"mimeTypes": ["text/html;profile=mcp-app"]}

    asked = {"prompt": "a boat", "dry_run": True}
    results = []
    for extensions in ([], [Shows()]):
        async with Client(build_server(make_settings()), mode=era, extensions=extensions) as client:
            results.append((await client.call_tool("generate_image", asked)).model_dump())
    assert results[0] == results[1]


async def test_file_comes_in_parts_that_make_up_the_whole(connect: Connect):
    async with connect() as client:
        made = await client.call_tool("generate_image", {"prompt": "a boat", "preview": False})
        artifact = made.structured_content["artifacts"][0]
        whole = Path(artifact["path"]).read_bytes() + bytes(PART_BYTES)
        Path(artifact["path"]).write_bytes(whole)
        parts = [(await client.read_resource(f"{artifact['uri']}/parts/{number}")).contents[0] for number in range(2)]
        for number in ("2", "-1", "1e9", "x", "99999999999999999999"):
            with pytest.raises(MCPError, match=r"no part|[Uu]nknown"):
                await client.read_resource(f"{artifact['uri']}/parts/{number}")
        with pytest.raises(MCPError, match="art_unknown"):
            await client.read_resource("mediagen://artifacts/art_unknown/parts/0")
    blobs = [part.blob for part in parts if isinstance(part, BlobResourceContents)]
    assert b"".join(base64.b64decode(blob) for blob in blobs) == whole


def test_wheel_brings_the_page(tmp_path: Path):
    pytest.importorskip("hatchling")
    root = Path(__file__).parents[3]
    name = subprocess.run(
        [sys.executable, "-c", BUILD, tmp_path],
        cwd=root, check=True, capture_output=True, text=True,
    ).stdout.split()[-1]  # fmt: skip
    assert "mediagen/server/viewer/viewer.html" in zipfile.ZipFile(tmp_path / name).namelist()
