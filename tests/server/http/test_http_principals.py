"""Two people on one server over HTTP: nothing of the one exists for the other."""

import json
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, MCPError
from mcp.server.subscriptions import ResourcesListChanged, ResourceUpdated
from mcp.types import INVALID_PARAMS, CallToolResult, ElicitResult, InputRequiredResult, ResourceTemplateReference
from tests.conftest import DATA, paid
from tests.server.http.conftest import SECRET, HttpServer, StartServer
from tests.server.http.issuer import AUDIENCE, Issuer
from tests.server.tasks.task_client import Tasks, ended, send
from tests.server.tasks.task_client import call as begun

from mediagen.server.build import build_server
from mediagen.settings import Settings

DEAR = {"MEDIAGEN_CONFIRM_ABOVE_USD": "0.001"}
OAUTH = {"MEDIAGEN_HTTP_PUBLIC_URL": AUDIENCE}
WAVES = {"prompt": "waves", "duration_seconds": 3}
AGREED = {"inputResponses": {"price": {"action": "accept", "content": {"agree": True}}}}


async def unasked(context: Any, params: Any) -> ElicitResult:
    raise AssertionError("nobody is to be asked by the way of the call")


async def said_yes(client: Client, asked: InputRequiredResult, wish: dict[str, Any]) -> CallToolResult:
    """Call again with a yes to what was asked."""
    yes = ElicitResult(action="accept", content={"agree": True})
    answers: dict[str, Any] = dict.fromkeys(asked.input_requests or {}, yes)
    result = await client.session.call_tool(
        "generate_image", wish, input_responses=answers, request_state=asked.request_state
    )
    assert isinstance(result, CallToolResult)
    return result


@pytest.fixture
def ada(issuer: Issuer) -> str:
    return issuer.token(f"ada-{uuid.uuid4()}")


@pytest.fixture
def bob(issuer: Issuer) -> str:
    return issuer.token(f"bob-{uuid.uuid4()}")


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    content: dict[str, Any] = result.structured_content
    return content


async def refused(client: Client, tool: str, **arguments: Any) -> str:
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    return str(getattr(result.content[0], "text", ""))


async def test_jobs_of_one_do_not_exist_for_the_other(shared: HttpServer, ada: str, bob: str, era: str):
    async with shared.client(ada, era) as mine, shared.client(bob, era) as other:
        made = await call(mine, "generate_image", prompt="a boat", request_id="first")
        job_id, file = made["job_id"], made["artifacts"][0]
        unknown = f"job_{'0' * 26}"
        asked: dict[str, dict[str, Any]] = {
            "get_job": {"wait_seconds": 1},
            "cancel_job": {},
            "resolve_job": {"outcome": "not_billed"},
        }
        for tool, arguments in asked.items():
            said = await refused(other, tool, job_id=job_id, **arguments)
            assert said.replace(job_id, unknown) == await refused(other, tool, job_id=unknown, **arguments)
        for tool, arguments in {
            "generate_image": {"prompt": "more", "continue_from": job_id},
            "extend_video": {"prompt": "more", "source": job_id},
            "generate_video": {"prompt": "more", "remix_from": file["uri"]},
            "probe_media": {"source": file["uri"]},
        }.items():
            assert "There is no" in await refused(other, tool, **arguments)
        assert (await call(other, "list_jobs"))["jobs"] == []
        assert [job["job_id"] for job in (await call(mine, "list_jobs"))["jobs"]] == [job_id]
        assert (await call(mine, "get_spend", with_free=True))["total"]["free_jobs"] == 1
        assert (await call(other, "get_spend", with_free=True))["total"]["free_jobs"] == 0
        theirs = await call(other, "generate_image", prompt="a boat", request_id="first")
        assert theirs["job_id"] != job_id
        again = await call(mine, "generate_image", prompt="a boat", request_id="first")
        assert again["job_id"] == job_id


async def test_files_of_one_do_not_exist_for_the_other(shared: HttpServer, ada: str, bob: str, era: str):
    async with shared.client(ada, era) as mine, shared.client(bob, era) as other:
        made = await call(mine, "generate_image", prompt="a boat")
        uri = made["artifacts"][0]["uri"]
        for address in (uri, f"{uri}/preview", f"{uri}/parts/0", f"mediagen://jobs/{made['job_id']}"):
            read = await mine.read_resource(address)
            assert "/out" not in read.model_dump_json(exclude={"contents": {"__all__": {"blob"}}})
            with pytest.raises(MCPError, match=r"There is no (artifact|job)"):
                await other.read_resource(address)
        assert uri in (await mine.list_resources()).model_dump_json()
        assert "artifacts/art_" not in (await other.list_resources()).model_dump_json()
        template = ResourceTemplateReference(type="ref/resource", uri="mediagen://artifacts/{artifact_id}")
        part = {"name": "artifact_id", "value": ""}
        assert made["artifacts"][0]["artifact_id"] in (await mine.complete(template, part)).completion.values
        assert (await other.complete(template, part)).completion.values == []


async def test_identical_requests_of_two_are_two_jobs_and_of_one_in_a_row_are_one(
    shared: HttpServer, ada: str, bob: str
):
    wish = {"prompt": "waves", "duration_seconds": 3, "wait_seconds": 0}
    async with shared.client(ada, "auto") as mine, shared.client(bob, "auto") as other:
        first = await call(mine, "generate_video", **wish)
        theirs = await call(other, "generate_video", **wish)
        again = await call(mine, "generate_video", **wish)
        assert first["job_id"] == again["job_id"] != theirs["job_id"]
        done = await call(mine, "get_job", job_id=first["job_id"], wait_seconds=60)
        assert done["status"] == "succeeded"


async def test_a_cursor_of_another_shows_own_jobs_alone(shared: HttpServer, ada: str, bob: str):
    async with shared.client(ada, "auto") as mine, shared.client(bob, "auto") as other:
        for number in range(2):
            await call(mine, "generate_image", prompt=f"boat {number}")
        theirs = await call(other, "generate_image", prompt="a boat")
        cursor = (await call(mine, "list_jobs", limit=1))["next_cursor"]
        assert cursor
        assert (await call(other, "list_jobs", cursor=str(int(cursor) + 100)))["jobs"][0]["job_id"] == theirs["job_id"]
        assert len((await call(mine, "list_jobs", cursor=cursor))["jobs"]) == 1


async def test_results_have_links_and_no_folder_of_the_server(shared: HttpServer, ada: str, era: str):
    async with shared.client(ada, era) as mine:
        result = await mine.call_tool("generate_image", {"prompt": "a boat"})
        made = result.structured_content or {}
        listed = await mine.call_tool("list_jobs", {})
        edited = await mine.call_tool(
            "resize_image", {"source": made["artifacts"][0]["uri"], "width": 64, "output_name": "small"}
        )
        gone = await mine.call_tool("check_api", {})
    file = made["artifacts"][0]
    assert file["path"] is None
    assert file["url"].startswith(f"{AUDIENCE}/files/{file['artifact_id']}?")
    assert file["url_expires_at"]
    assert file["url"] in str(getattr(result.content[0], "text", ""))
    said = "".join(answer.model_dump_json() for answer in (result, listed, edited, gone))
    assert "/out" not in said
    assert "/state" not in said
    link = file["url"].removeprefix(AUDIENCE)
    whole = shared.get(link)
    assert whole.status_code == 200
    assert len(whole.content) == file["size_bytes"]
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert whole.headers["content-disposition"].startswith("attachment")
    part = shared.get(link, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole.content[10:20])


async def test_links_are_good_for_their_file_and_their_hour_alone(shared: HttpServer, ada: str, bob: str):
    async with shared.client(ada, "auto") as mine, shared.client(bob, "auto") as other:
        first = (await call(mine, "generate_image", prompt="one"))["artifacts"][0]
        second = (await call(other, "generate_image", prompt="two"))["artifacts"][0]
    link = first["url"].removeprefix(AUDIENCE)
    query = link.partition("?")[2]
    expires = int(query.partition("=")[2].partition("&")[0])
    for wrong in (
        f"/files/{second['artifact_id']}?{query}",
        link.replace(str(expires), str(expires + 3600)),
        link[:-1] + ("0" if link[-1] != "0" else "1"),
        link.partition("&")[0],
        f"/files/{first['artifact_id']}",
        f"{link}%F0%9F%8E%AC",
    ):
        assert shared.get(wrong).status_code == 403, wrong
        assert shared.get(wrong, token=SECRET).status_code == 403, "no token opens what no link opens"


async def test_a_file_that_was_sent_is_an_input_for_its_sender_alone(shared: HttpServer, ada: str, bob: str, era: str):
    picture = (DATA / "chelsea.png").read_bytes()
    answer = shared.request("POST", "/files", token=ada, content=picture, headers={"Content-Type": "image/png"})
    assert answer.status_code == 201
    sent = answer.json()
    assert sent["mime_type"] == "image/png"
    assert sent["size_bytes"] == len(picture)
    async with shared.client(ada, era) as mine, shared.client(bob, era) as other:
        made = await call(mine, "generate_image", prompt="a hat on it", input_images=[sent["uri"]])
        assert made["status"] == "succeeded"
        assert "There is no uploaded file" in await refused(
            other, "generate_image", prompt="a hat on it", input_images=[sent["uri"]]
        )


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 400, "invalid_request"),
        (b"%PDF-1.7 ...", 400, "unsupported_input"),
        (b"\x00\x01\x02 no text", 400, "invalid_request"),
        (b"\x89PNG\r\n\x1a\n and nothing more", 400, "unreadable_media"),
        (b"x" * (20 * 1024**2 + 1), 413, "input_too_large"),
    ],
)
async def test_what_is_of_no_use_is_not_kept(shared: HttpServer, ada: str, content: bytes, status: int, code: str):
    answer = shared.request("POST", "/files", token=ada, content=content)
    assert (answer.status_code, answer.json()["error"]) == (status, code), answer.text
    # The same without saying how much comes.
    pieces = [content[at : at + 65536] for at in range(0, len(content), 65536)]
    answer = shared.request("POST", "/files", token=ada, content=iter(pieces))
    assert (answer.status_code, answer.json()["error"]) == (status, code), answer.text


async def test_a_body_that_is_of_no_use_is_refused_in_words_that_help(shared: HttpServer, ada: str):
    picture = (DATA / "chelsea.png").read_bytes()
    answer = shared.request("POST", "/files", token=ada, files={"file": ("cat.png", picture, "image/png")})
    assert (answer.status_code, answer.json()["error"]) == (415, "unsupported_input")
    assert "form" in answer.text
    assert "curl --data-binary @" in answer.text
    unknown = (b"\x00\x01\x02 no text", b"\xff\xfe\xfd", b"%PDF-1.7 ...")
    for content in (*unknown, b"\x89PNG\r\n\x1a\n and no more", b" \n"):
        said = shared.request("POST", "/files", token=ada, content=content).text
        assert "mediagen://" not in said, said
        assert "upl_" not in said, said
        assert "The file" in said, said
    for content in unknown:
        assert "PNG, JPEG" in shared.request("POST", "/files", token=ada, content=content).text


async def test_hints_about_sources_hold_for_callers_from_elsewhere(shared: HttpServer, ada: str):
    async with shared.client(ada, "auto") as mine:
        for source in ("cat.png", "https://example.com/cat.png", "gs://films/cat.png", "http://example.com/cat.png"):
            said = await refused(mine, "resize_image", source=source, width=64)
            assert "POST /files" in said
            assert "give an https" not in said
        for address in ("http://example.com/cat.png", "https://192.168.1.7/cat.png"):
            assert "POST /files" in await refused(mine, "generate_image", prompt="x", input_images=[address])


async def test_a_text_is_kept_by_its_declared_type(shared: HttpServer, ada: str):
    text = {"Content-Type": "text/markdown; charset=utf-8"}
    answer = shared.request("POST", "/files", token=ada, content=b"# A storm\n", headers=text).json()
    assert answer["mime_type"] == "text/markdown"
    async with shared.client(ada, "auto") as mine:
        assert await call(mine, "generate_image", prompt="draw it", documents=[answer["uri"]])


async def test_folders_and_paths_of_the_server_are_refused(shared: HttpServer, ada: str, era: str):
    async with shared.client(ada, era) as mine:
        assert "output_dir" in await refused(mine, "generate_image", prompt="x", output_dir="/tmp")
        for path in ("/etc/passwd", "file:///etc/passwd", "cat.png"):
            assert "POST /files" in await refused(mine, "generate_image", prompt="x", input_images=[path])
        assert "POST /files" in (mine.instructions or "")


async def test_the_operators_token_is_one_principal_and_sees_nothing_of_the_others(
    shared: HttpServer, ada: str, era: str
):
    async with shared.client(ada, era) as mine, shared.client(SECRET, era) as operator:
        made = await call(mine, "generate_image", prompt="a boat")
        assert "There is no job" in await refused(operator, "get_job", job_id=made["job_id"])
        assert made["job_id"] not in json.dumps(await call(operator, "list_jobs", limit=50))


async def test_nothing_of_the_owner_is_told_to_others(shared: HttpServer, ada: str, era: str):
    async with shared.client(ada, era) as client:
        checked = await client.call_tool("check_api", {})
        report = checked.structured_content or {}
        said = await refused(client, "resolve_job", job_id=f"job_{'0' * 26}", outcome="not_billed")
    assert {surface["identity"] for surface in report["surfaces"]} <= {None}
    assert "/" not in report["ffmpeg"] + report["ledger"]
    assert report["output_dir"] is None
    assert report["spent_today_usd"] is None
    assert "Spent:" not in str(getattr(checked.content[0], "text", "Spent:"))
    assert "only whoever pays" in said


async def test_of_the_money_of_all_only_what_a_cap_counts_is_told(start: StartServer, issuer: Issuer, ada: str):
    server = start(**OAUTH, MEDIAGEN_HTTP_ISSUER=issuer.url, MEDIAGEN_MAX_USD_PER_DAY="50")
    async with server.client(ada, "auto") as client:
        checked = await client.call_tool("check_api", {})
    report = checked.structured_content or {}
    assert report["spent_today_usd"] is not None
    assert report["spent_this_month_usd"] is None
    said = str(getattr(checked.content[0], "text", ""))
    assert "of $50.00 today (UTC)" in said
    assert "month" not in said


async def test_a_file_that_is_gone_is_told_without_its_folder(
    shared: HttpServer, ada: str, tmp_path_factory: pytest.TempPathFactory
):
    async with shared.client(ada, "auto") as client:
        made = await call(client, "generate_image", prompt=f"gone {uuid.uuid4()}")
        artifact = made["artifacts"][0]["artifact_id"]
        work = next(Path(tmp_path_factory.getbasetemp()).glob("shared*"))
        for path in work.rglob("image_*.*"):
            path.unlink(missing_ok=True)
        for address in (f"mediagen://artifacts/{artifact}", f"mediagen://artifacts/{artifact}/parts/0"):
            with pytest.raises(MCPError) as missing:
                await client.read_resource(address)
            assert str(work) not in str(missing.value)


async def test_a_session_of_one_is_not_the_others(shared: HttpServer, ada: str, bob: str):
    headers = {"Accept": "application/json, text/event-stream"}
    hello = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        },
    }
    session = shared.request("POST", "/mcp", token=ada, json=hello, headers=headers).headers["mcp-session-id"]
    ask = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
    headers |= {"Mcp-Session-Id": session, "MCP-Protocol-Version": "2025-11-25"}
    assert shared.request("POST", "/mcp", token=ada, json=ask, headers=headers).status_code == 200
    assert shared.request("POST", "/mcp", token=bob, json=ask, headers=headers).status_code == 404


def test_files_of_two_lie_in_two_folders(shared: HttpServer, tmp_path_factory: pytest.TempPathFactory):
    out = next(Path(tmp_path_factory.getbasetemp()).glob("shared*")) / "out"
    assert not [path for path in out.iterdir() if path.is_file()]


async def test_tasks_of_one_do_not_exist_for_the_other(shared: HttpServer, ada: str, bob: str):
    follows = {"extensions": [Tasks()]}
    async with shared.client(ada, "auto", **follows) as mine, shared.client(bob, "auto", **follows) as other:
        task = await begun(mine, "generate_video", prompt="waves", duration_seconds=3)
        for method in ("tasks/get", "tasks/cancel"):
            with pytest.raises(MCPError) as foreign:
                await send(other, method, task["taskId"])
            with pytest.raises(MCPError) as unknown:
                await send(other, method, f"job_{'0' * 26}")
            assert foreign.value.error.code == unknown.value.error.code
        done = await ended(mine, task["taskId"])
    assert done["status"] == "completed"
    assert done["result"]["structuredContent"]["artifacts"][0]["url"].startswith(AUDIENCE)


async def test_changes_of_one_are_not_told_to_the_other(shared: HttpServer, ada: str, bob: str):
    async with shared.client(ada, "auto") as mine, shared.client(bob, "auto") as other:
        wish = {"prompt": "a whale", "duration_seconds": 3, "wait_seconds": 0}
        job_id = (await call(mine, "generate_video", **wish))["job_id"]
        address = f"mediagen://jobs/{job_id}"
        async with (
            mine.listen(resource_subscriptions=[address], resources_list_changed=True) as seen,
            other.listen(resource_subscriptions=[address], resources_list_changed=True) as unseen,
        ):
            with anyio.fail_after(30):
                assert isinstance(await anext(aiter(seen)), ResourcesListChanged | ResourceUpdated)
            assert (await call(mine, "get_job", job_id=job_id, wait_seconds=60))["status"] == "succeeded"
            heard = await call(other, "generate_image", prompt="a boat")
            with anyio.fail_after(30):
                # The first that is told to the other is of the other's own.
                assert isinstance(await anext(aiter(unseen)), ResourcesListChanged)
            assert heard["artifacts"]


async def test_question_of_one_cannot_be_answered_by_the_other(start: StartServer, issuer: Issuer, emulator):
    server = start(**OAUTH, **DEAR, MEDIAGEN_HTTP_ISSUER=issuer.url)
    follows: dict[str, Any] = {"extensions": [Tasks()], "elicitation_callback": unasked}
    async with (
        server.client(issuer.token("ada"), "auto", **follows) as mine,
        server.client(issuer.token("bob"), "auto", **follows) as other,
    ):
        task = await begun(mine, "generate_video", **WAVES)
        assert task["status"] == "input_required"
        for method, params in (("tasks/get", {}), ("tasks/update", AGREED), ("tasks/cancel", {})):
            with pytest.raises(MCPError) as foreign:
                await send(other, method, task["taskId"], **params)
            assert foreign.value.error.code == INVALID_PARAMS
        assert (await send(mine, "tasks/get", task["taskId"]))["status"] == "input_required"
        asked = await mine.session.call_tool("generate_image", {"prompt": "a fox"}, allow_input_required=True)
        assert isinstance(asked, InputRequiredResult)
        with pytest.raises(MCPError):
            await said_yes(other, asked, {"prompt": "a fox"})
    assert paid(emulator) == 0


async def test_owner_of_the_machine_answers_for_others_and_the_job_is_theirs(
    start: StartServer, make_settings: Callable[..., Settings], emulator, work: Path
):
    server = start(**DEAR, MEDIAGEN_HTTP_TOKEN=SECRET)
    follows: dict[str, Any] = {"extensions": [Tasks()], "elicitation_callback": unasked}
    async with (
        server.client(SECRET, "auto", **follows) as guest,
        Client(build_server(make_settings(**DEAR)), **follows) as owner,
    ):
        task = await begun(guest, "generate_video", **WAVES)
        assert task["status"] == "input_required"
        await send(owner, "tasks/update", task["taskId"], **AGREED)
        done = await ended(guest, task["taskId"])
        assert not done["result"].get("isError"), done
        made = done["result"]["structuredContent"]
        assert [job["job_id"] for job in (await call(guest, "list_jobs"))["jobs"]] == [task["taskId"]]
    assert made["job_id"] == task["taskId"]
    assert made["artifacts"][0]["url"]
    [clip] = work.rglob("*.mp4")
    assert clip.parent.parent == work
    assert paid(emulator) == 1


async def test_answer_to_a_question_is_taken_by_every_server_of_the_same_state_folder_alone(
    start: StartServer, emulator, tmp_path: Path
):
    token = {"MEDIAGEN_HTTP_TOKEN": SECRET, **DEAR}
    one, other = start(**token), start(**token)
    stranger = start(**token, MEDIAGEN_STATE_DIR=str(tmp_path / "elsewhere"))
    wish = {"prompt": "a fox"}
    asks: dict[str, Any] = {"elicitation_callback": unasked}
    async with (
        one.client(SECRET, "auto", **asks) as first,
        other.client(SECRET, "auto", **asks) as second,
        stranger.client(SECRET, "auto", **asks) as third,
    ):
        asked = await first.session.call_tool("generate_image", wish, allow_input_required=True)
        assert isinstance(asked, InputRequiredResult)
        with pytest.raises(MCPError, match="requestState"):
            await said_yes(third, asked, wish)
        assert paid(emulator) == 0
        answers = [await said_yes(client, asked, wish) for client in (second, first)]
    assert len({(answer.structured_content or {})["job_id"] for answer in answers}) == 1
    assert paid(emulator) == 1


async def test_server_whose_working_directory_is_gone_goes_on(start: StartServer, work: Path, tmp_path: Path):
    (tmp_path / "out").mkdir()
    server = start(MEDIAGEN_HTTP_TOKEN=SECRET, MEDIAGEN_OUTPUT_DIR=str(tmp_path / "out"))
    shutil.rmtree(work)
    async with server.client(SECRET, "auto") as client:
        made = await call(client, "generate_image", prompt="a boat")
        said = await refused(client, "get_job", job_id=f"job_{'0' * 26}")
    assert made["artifacts"][0]["url"]
    assert "There is no job" in said
