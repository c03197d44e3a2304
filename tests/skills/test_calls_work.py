"""The calls that the skills show are accepted by the real tools: each is made, without cost, against the emulator."""

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.types import CallToolResult
from tests.conftest import DATA, paid
from tests.skills.claims import ANY, ROOT, arguments, calls, fences

from mediagen.emulator.thread import EmulatorHandle
from mediagen.server.build import build_server
from mediagen.settings import Settings

SKILLS = ROOT / "skills"
CLIP = DATA / "bigbuckbunny.mp4"


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """A call as a skill shows it."""

    file: str
    tool: str
    arguments: dict[str, Any]


def shown() -> Iterator[Shown]:
    for path in sorted(SKILLS.rglob("*.md")):
        for fence in fences(path.read_text(encoding="utf-8")):
            for tool, source in calls(fence):
                yield Shown(file=path.relative_to(SKILLS).as_posix(), tool=tool, arguments=arguments(source))


PAID = [call for call in shown() if call.tool.startswith(("generate_", "extend_"))]


def files_of(value: object) -> list[str]:
    return re.findall(r"[\w-]+\.(?:png|jpg|mp4|mp3)", str(value))


def named(call: Shown) -> str:
    return f"{call.file}-{call.tool}-{PAID.index(call)}"


def test_paid_calls_are_shown_without_cost_or_with_a_ceiling():
    for call in PAID:
        assert call.arguments.get("dry_run") or "max_usd" in call.arguments, call


def untold(call: Shown, result: CallToolResult) -> list[str]:
    """What no living model does as asked, and the page does not say."""
    page = " ".join((SKILLS / call.file).read_text(encoding="utf-8").split())
    changes = (result.structured_content or {})["adjustments"]
    of_ways = [change for change in changes if change["reason"].startswith("no living model")]
    return [f"{change['field']}: {change['to']}" for change in of_ways if change["to"] not in page]


def test_calls_that_no_model_does_as_asked_are_shown():
    assert any(":style" in str(call.arguments) for call in PAID)
    assert any("mask" in call.arguments for call in PAID)


@pytest.mark.parametrize("call", PAID, ids=named)
async def test_paid_call_of_a_skill_is_accepted_and_its_page_says_what_is_done_instead(
    call: Shown, make_settings: Callable[..., Settings], work: Path, emulator: EmulatorHandle
):
    given = {name: "a boat on a river" if name == "prompt" and value == ANY else value
             for name, value in call.arguments.items() if name != "max_usd"}  # fmt: skip
    given.pop("continue_from", None)  # needs a job that was paid for
    for name in files_of([value for argument, value in given.items() if argument not in ("prompt", "negative_prompt")]):
        shutil.copy(CLIP if name.endswith(".mp4") else work / "cat.png", work / name)
    async with Client(build_server(make_settings())) as client:
        result = await client.call_tool(call.tool, {**given, "dry_run": True})
    said = "\n".join(block.text for block in result.content if block.type == "text")
    assert not result.is_error, said
    assert untold(call, result) == []
    assert paid(emulator) == 0
