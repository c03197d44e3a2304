"""The viewer in a real Chromium, shown by a host stub that speaks with a real server and the emulator."""

import base64
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.types import CallToolResult
from tests.conftest import DATA, paid
from tests.server.viewer.chromium import Chromium, find_chromium, running_chromium
from tests.server.viewer.host import Host, serving

from mediagen.server.build import build_server
from mediagen.server.viewer.parts import PART_BYTES
from mediagen.settings import Settings

PAYING = {"MEDIAGEN_BACKEND": "gemini", "GEMINI_API_KEY": "some-key"}
CLIP = {"prompt": "waves", "duration_seconds": 3, "resolution": "360p"}
Show = Callable[..., AbstractAsyncContextManager[tuple[Chromium, Host]]]


@pytest.fixture(scope="session")
def program() -> str:
    found = find_chromium()
    if found is None:
        pytest.skip("needs Chromium (Debian: apt-get install chromium)")
    return found


@pytest.fixture
def show(program: str, make_settings: Callable[..., Settings], tmp_path: Path) -> Show:
    """Calls a tool and shows its result; entered in the test itself, as task groups want it."""

    @asynccontextmanager
    async def shown(tool: str, arguments: dict[str, Any], **changes: Any) -> AsyncIterator[tuple[Chromium, Host]]:
        with_result = changes.pop("with_result", True)
        settings = make_settings(**{"MEDIAGEN_TOOLSETS": "core,jobs,edit", **changes.pop("variables", {})})
        async with Client(build_server(settings), mode="auto") as client:
            result = await client.call_tool(tool, arguments) if with_result else None
            if change := changes.pop("change", None):
                change(result)
            host = Host(client=client, result=result, input=arguments, **changes)
            async with serving(host), running_chromium(program, tmp_path) as browser:
                await browser.open(host.url)
                yield browser, host

    return shown


def nothing_leaves(browser: Chromium, host: Host) -> bool:
    return all(address.startswith((host.url, "data:", "blob:", "about:")) for address in browser.requested)


async def click(browser: Chromium, name: str) -> None:
    await browser.until(f"(b => b.offsetParent && !b.disabled && (b.click(), true))(document.getElementById('{name}'))")


async def test_viewer_shows_the_full_picture_and_its_facts(show, emulator):
    async with show("generate_image", {"prompt": "a red fox", "aspect_ratio": "16:9"}) as (browser, host):
        await browser.until("document.querySelector('#stage img')?.naturalWidth === 1376")
        text = await browser.evaluate("document.body.innerText")
        assert await browser.evaluate("document.querySelector('#stage img').alt") == "Picture: a red fox"
        assert await browser.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"
        report = host.result.structured_content
        assert "Picture: succeeded" in text
        assert report["artifacts"][0]["path"] in text
        assert report["model"] in text
        assert "$0.00 charged (exact: made by the emulator, free)" in text
        assert nothing_leaves(browser, host)
        assert browser.troubles == []
    assert paid(emulator) == 1


async def test_viewer_plays_the_clip(show):
    async with show("generate_video", CLIP) as (browser, host):
        await browser.until("document.querySelector('#stage video')?.readyState >= 2")
        await browser.evaluate("document.querySelector('video').play()")
        await browser.until("document.querySelector('video').currentTime > 0.2")
        assert await browser.evaluate("document.querySelector('video').videoWidth") == 640
        assert await browser.evaluate("document.querySelector('video').poster.startsWith('data:image/jpeg')")
        assert nothing_leaves(browser, host)
        assert browser.troubles == []


async def test_viewer_plays_the_clip_where_the_host_allows_no_blob_addresses(show):
    async with show("generate_video", CLIP, allows_blob=False) as (browser, host):
        await browser.until("document.querySelector('#stage video')?.readyState >= 2")
        assert await browser.evaluate("document.querySelector('video').src.startsWith('data:video/mp4')")
        assert nothing_leaves(browser, host)
        assert [trouble for trouble in browser.troubles if "blob:" not in trouble] == []


async def test_viewer_shows_a_hostile_prompt_as_text_and_stays_usable(show):
    prompt = (
        "<img src=x onerror=window.hacked=1><script>window.hacked=1</script>&amp; \u202eשלום 🎬 \"';--> "
        + "long " * 2000
    )
    async with show("generate_image", {"prompt": prompt}) as (browser, host):
        await browser.until("document.querySelector('#stage img')?.naturalWidth > 0")
        shown = await browser.evaluate("document.querySelector('#facts dd').textContent")
        assert shown == prompt.strip()
        assert await browser.evaluate(
            "window.hacked === undefined && document.querySelectorAll('main script').length === 0"
        )
        assert await browser.evaluate("document.querySelector('#facts dd').getBoundingClientRect().height < 200")
        await browser.evaluate("document.querySelector('iframe').style.width = '320px'", in_frame=False)
        await browser.until("window.innerWidth === 320")
        assert await browser.evaluate("document.documentElement.scrollWidth <= 320")
        await browser.until(
            "window.heard.some(m => m.method === 'ui/notifications/size-changed' && m.params.width === 320)",
            in_frame=False,
        )
        assert nothing_leaves(browser, host)
        assert browser.troubles == []


async def test_extend_asks_for_words_and_price_before_it_spends(show, emulator):
    async with show("generate_video", CLIP) as (browser, host):
        await click(browser, "extend")
        assert await browser.evaluate("document.activeElement.id") == "next-prompt"
        await click(browser, "quote")
        await browser.until("document.getElementById('price').textContent.startsWith('Say first')")
        await browser.evaluate(
            "(t => { t.value = 'more waves'; t.dispatchEvent(new Event('input')); })(document.activeElement)"
        )
        await browser.evaluate(
            "(b => new MutationObserver(() => window.isAsleepAtFirst ??= b.disabled)"
            ".observe(b, { attributeFilter: ['hidden'] }))(document.getElementById('confirm'))"
        )
        await click(browser, "quote")
        told = await browser.until("/^\\$0\\.\\d+ quoted/.exec(document.getElementById('price').textContent)?.input")
        assert "The emulator charges nothing." in told
        # What comes under the pointer must not be hit by the second half of a double click.
        assert await browser.evaluate("window.isAsleepAtFirst")
        assert paid(emulator) == 1
        await click(browser, "confirm")
        await browser.until("document.getElementById('status').textContent === 'Clip: succeeded'")
        await browser.until("document.querySelector('#stage video')?.duration > 5")
        assert paid(emulator) == 2
        dry, real = (arguments for name, arguments in host.tools_called() if name == "extend_video")
        source = {"source": host.result.structured_content["job_id"], "prompt": "more waves"}
        assert dry == {**source, "dry_run": True, "preview": False}
        assert real == {**source, "wait_seconds": 0, "max_usd": pytest.approx(0.21, abs=0.1)}
        told = "calls('ui/update-model-context').map(message => message.params.content[0].text)"
        await browser.until(f"{told}[0]", in_frame=False)
        await browser.until(f"{told}.at(-1).includes('now succeeded')", in_frame=False)
        await click(browser, "back")
        await browser.until("document.querySelector('#stage video')?.duration < 4")
        assert nothing_leaves(browser, host)
        assert browser.troubles == []


async def test_vary_repeats_the_same_request_only_after_its_price_was_confirmed(show, emulator):
    asked = {"prompt": "a red fox", "aspect_ratio": "16:9", "wait_seconds": 100, "max_usd": 1}
    async with show("generate_image", asked, variables=PAYING) as (browser, host):
        await browser.until("document.body.innerText.includes('$0.0336 charged (')")
        await click(browser, "vary")
        await browser.until("document.getElementById('confirm').hidden === false")
        await browser.until("document.getElementById('confirm').disabled === false")
        # The keyboard alone is enough, and Escape takes it back.
        await browser.press("Escape")
        await browser.until("document.getElementById('ask').hidden && document.activeElement.id === 'vary'")
        assert paid(emulator) == 1
        await browser.press("Enter")
        await browser.until("document.activeElement.id === 'price'")
        await browser.until("document.getElementById('confirm').disabled === false")
        assert "This costs real money." in await browser.evaluate("document.getElementById('price').textContent")
        await browser.press("Tab")
        confirm = await browser.evaluate("document.activeElement.textContent")
        assert confirm == "Pay about $0.0336: make another"
        assert paid(emulator) == 1
        await browser.press("Enter")
        await browser.until("document.getElementById('back').hidden === false")
        await browser.until("document.getElementById('status').textContent === 'Picture: succeeded'")
        assert paid(emulator) == 2
        same = {"prompt": "a red fox", "aspect_ratio": "16:9"}
        real = host.tools_called()[2]
        assert real == (
            "generate_image",
            {**same, "wait_seconds": 0, "force_new": True, "max_usd": pytest.approx(0.0336)},
        )
        assert browser.troubles == []


@pytest.mark.parametrize("as_task", [False, True])
async def test_running_job_is_followed_to_its_end(show, emulator, as_task: bool):
    emulator.add_fault(fault="delay", seconds=0.5, match={"method": "GET", "path_contains": "interactions"})
    async with show("generate_video", {**CLIP, "wait_seconds": 0}, as_task=as_task) as (browser, host):
        assert host.result.structured_content["status"] in {"submitting", "running"}
        await browser.until("document.querySelector('#stage video')?.readyState >= 2")
        assert await browser.evaluate("document.getElementById('status').textContent") == "Clip: succeeded"
        assert {name for name, _ in host.tools_called()} == {"get_job"}
    assert paid(emulator) == 1


async def test_save_hands_the_file_to_the_host_as_it_is(show):
    async with show("generate_image", {"prompt": "a boat", "count": 2}) as (browser, host):
        second = host.result.structured_content["artifacts"][1]
        await browser.until("document.querySelector('#stage img')?.naturalWidth === 1024")
        await browser.evaluate("document.querySelectorAll('#pick button')[1].click()")
        await click(browser, "save")
        [resource] = await browser.until(
            "(c => c && c.params.contents.map(c => c.resource))(calls('ui/download-file')[0])", in_frame=False
        )
        assert base64.b64decode(resource["blob"]) == Path(second["path"]).read_bytes()
        assert resource["uri"] == f"file:///{Path(second['path']).name}"
        assert resource["mimeType"] == second["mime_type"]


async def test_lost_answer_is_told_and_nothing_is_sent_again_by_itself(show, emulator):
    async with show("generate_image", {"prompt": "a boat"}, loses="generate_image") as (browser, host):
        await click(browser, "vary")
        await click(browser, "confirm")
        alert = "document.getElementById('alert')"
        await browser.until(f"!{alert}.hidden && {alert}.textContent.startsWith('Request timed out')")
        assert "It may have been sent" in await browser.evaluate(f"{alert}.textContent")
        assert await browser.evaluate("document.getElementById('confirm').hidden")
        assert [arguments.get("dry_run") for _, arguments in host.tools_called()] == [True, None]
    assert paid(emulator) == 1


async def test_job_that_cannot_be_followed_is_said_to_go_on(show, emulator):
    emulator.add_fault(fault="delay", seconds=1, match={"path_contains": "interactions"})
    core = {"MEDIAGEN_TOOLSETS": "core"}
    async with show("generate_video", {**CLIP, "wait_seconds": 0}, variables=core) as (browser, host):
        await browser.until("document.getElementById('alert').textContent.startsWith('The job cannot be followed')")
        assert await browser.evaluate("document.getElementById('follow').offsetParent !== null")
        assert [name for name, _ in host.tools_called()] == ["get_job"]


async def test_file_that_comes_incomplete_is_told_with_its_path(show):
    def is_larger(result: CallToolResult) -> None:
        assert result.structured_content
        result.structured_content["artifacts"][1]["size_bytes"] = PART_BYTES + 1

    async with show("generate_image", {"prompt": "a boat", "count": 2}, change=is_larger) as (browser, host):
        await browser.until("document.querySelectorAll('#pick button').length === 2")
        await browser.evaluate("document.querySelectorAll('#pick button')[1].click()")
        await click(browser, "play")
        told = await browser.until("document.getElementById('alert').textContent")
        assert host.result.structured_content["artifacts"][1]["path"] in told
        assert not await browser.evaluate("document.querySelector('#stage img')?.naturalWidth > 768")


async def test_file_of_another_machine_is_saved_through_its_link(show):
    def on_another_machine(result: CallToolResult) -> None:
        assert result.structured_content
        result.structured_content["artifacts"][0] |= {"path": None, "url": "https://media.example/a?signature=1"}

    asked = {"prompt": "a boat"}
    capabilities: dict[str, Any] = {"serverResources": {}, "openLinks": {}}
    async with show("generate_image", asked, change=on_another_machine, capabilities=capabilities) as (browser, host):
        await browser.until("document.querySelector('#stage img')?.naturalWidth === 1024")
        await click(browser, "save")
        opened = await browser.until("calls('ui/open-link')[0]?.params.url", in_frame=False)
        assert opened == "https://media.example/a?signature=1"
        assert nothing_leaves(browser, host)


async def test_host_that_passes_no_calls_on_sees_preview_path_and_asks_in_its_chat(show, emulator):
    async with show("generate_video", CLIP, capabilities={"message": {"text": {}}}) as (browser, host):
        await browser.until("document.querySelector('#stage img')?.naturalWidth > 0")
        assert await browser.evaluate("document.getElementById('play').hidden")
        await click(browser, "vary")
        await click(browser, "quote")
        text = await browser.until("calls('ui/message')[0]?.params.content[0].text", in_frame=False)
        assert "generate_video" in text
        assert "Tell me the price first." in text
        assert host.asked == []
        assert host.result.structured_content["artifacts"][0]["path"] in await browser.evaluate(
            "document.body.innerText"
        )
    assert paid(emulator) == 1


async def test_view_waits_for_the_result_follows_the_theme_and_ends_when_told(show):
    async with show("generate_image", {"prompt": "a boat"}, with_result=False) as (browser, _):
        await browser.until("document.body.innerText.includes('a boat')")
        assert await browser.evaluate("document.getElementById('status').textContent") == "Waiting for the result."
        changed = "{ method: 'ui/notifications/host-context-changed', params: { theme: 'light' } }"
        await browser.evaluate(f"tell({changed})", in_frame=False)
        await browser.until("getComputedStyle(document.documentElement).colorScheme === 'light'")
        failed = "{ content: [{ type: 'text', text: '[no_model] <b>no</b>' }], isError: true }"
        await browser.evaluate(f"tell({{ method: 'ui/notifications/tool-result', params: {failed} }})", in_frame=False)
        await browser.until("document.getElementById('words').textContent === '[no_model] <b>no</b>'")
        await browser.evaluate("tell({ id: 'end', method: 'ui/resource-teardown', params: {} })", in_frame=False)
        await browser.until("heard.some(message => message.id === 'end' && message.result)", in_frame=False)
        assert browser.troubles == []


async def test_clip_larger_than_a_message_comes_in_parts_when_it_is_asked_for(show, work):
    shutil.copy(DATA / "bigbuckbunny.mp4", work / "bunny.mp4")
    async with show("trim_video", {"source": "bunny.mp4", "start": "0"}) as (browser, host):
        artifact = host.result.structured_content["artifacts"][0]
        assert artifact["size_bytes"] > PART_BYTES
        await browser.until("document.querySelector('#stage img')?.naturalWidth > 0")
        assert (await browser.evaluate("document.getElementById('play').textContent")).startswith("Play (")
        assert host.asked == []
        await click(browser, "play")
        await browser.until("document.querySelector('#stage video')?.currentTime > 0")
        assert await browser.evaluate("document.getElementById('play').hidden")
        parts = [message["params"]["uri"] for message in host.asked if message["method"] == "resources/read"]
        assert parts == [
            f"{artifact['uri']}/parts/{number}" for number in range(-(-artifact["size_bytes"] // PART_BYTES))
        ]
        await click(browser, "save")
        [blob] = await browser.until(
            "(c => c && c.params.contents.map(c => c.resource.blob))(calls('ui/download-file')[0])", in_frame=False
        )
        assert base64.b64decode(blob) == Path(artifact["path"]).read_bytes()
        assert browser.troubles == []
