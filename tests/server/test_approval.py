"""Above the approval threshold whoever pays is asked, in both protocol eras; nothing is sent before they say yes."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.types import INTERNAL_ERROR, CallToolResult, ElicitResult, ErrorData, InputRequiredResult
from PIL import Image
from tests.conftest import paid

from mediagen.emulator.thread import EmulatorHandle
from mediagen.ledger.approvals import MOST_QUESTIONS
from mediagen.server.approval import decision_of, form
from mediagen.server.build import build_server
from mediagen.settings import Settings

DEAR = {"MEDIAGEN_CONFIRM_ABOVE_USD": "0.001"}
Asking = Callable[..., AbstractAsyncContextManager[tuple[Client, list[Any]]]]


@pytest.fixture
def asking(make_settings: Callable[..., Settings], era: str) -> Asking:
    """Opens a client that answers every question with the same, and keeps the questions."""

    @asynccontextmanager
    async def asking_with(answer: ElicitResult | None, **changes: str) -> AsyncIterator[tuple[Client, list[Any]]]:
        asked: list[Any] = []

        async def say(context: Any, params: Any) -> ElicitResult:
            asked.append(params)
            assert answer
            return answer

        server = build_server(make_settings(**{**DEAR, **changes}))
        async with Client(server, mode=era, elicitation_callback=say if answer else None) as client:
            yield client, asked

    return asking_with


def text_of(result: CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if block.type == "text")


YES = ElicitResult(action="accept", content={"agree": True})


@pytest.mark.parametrize("tool", ["generate_image", "generate_video"])
async def test_price_is_asked_once_and_a_yes_makes_it(asking: Asking, emulator: EmulatorHandle, tool: str):
    async with asking(YES) as (client, asked):
        made = await client.call_tool(tool, {"prompt": "a fox"})
    assert not made.is_error, text_of(made)
    assert len(asked) == 1
    assert "$" in asked[0].message
    assert "a fox" in asked[0].message
    assert paid(emulator) == 1


@pytest.mark.parametrize(
    "answer",
    [
        ElicitResult(action="decline"),
        ElicitResult(action="accept", content={"agree": False}),
    ],
    ids=str,
)
async def test_no_sends_nothing_and_says_so(asking: Asking, emulator: EmulatorHandle, answer: ElicitResult):
    async with asking(answer) as (client, asked):
        refused = await client.call_tool("generate_image", {"prompt": "a fox"})
    assert refused.is_error
    assert "declined. Nothing was sent." in text_of(refused)
    assert len(asked) == 1
    assert paid(emulator) == 0


async def test_question_that_is_closed_is_no_answer_and_the_other_way_is_told(asking: Asking, emulator: EmulatorHandle):
    async with asking(ElicitResult(action="cancel")) as (client, asked):
        refused = await client.call_tool("generate_image", {"prompt": "a fox"})
    assert refused.is_error
    assert "declined" not in text_of(refused)
    assert "[approval_needed]" in text_of(refused)
    assert "repeat the call with max_usd=0.0336" in text_of(refused)
    assert len(asked) == 1
    assert paid(emulator) == 0


async def test_question_says_how_sure_the_price_is_and_where_it_is_from(asking: Asking):
    async with asking(ElicitResult(action="decline")) as (client, asked):
        await client.call_tool("generate_video", {"prompt": "a fox", "duration_seconds": 4})
    assert asked[0].message.startswith("This costs about $")
    assert "as of 2026-" in asked[0].message
    assert "source " in asked[0].message
    assert " to $" in asked[0].message


async def test_client_that_cannot_ask_is_told_to_give_max_usd(asking: Asking, emulator: EmulatorHandle):
    async with asking(None) as (client, _):
        refused = await client.call_tool("generate_image", {"prompt": "a fox"})
        assert paid(emulator) == 0
        made = await client.call_tool("generate_image", {"prompt": "a fox", "max_usd": 1})
    assert "max_usd=" in text_of(refused)
    assert not made.is_error
    assert paid(emulator) == 1


@pytest.mark.parametrize(
    ("changes", "arguments"),
    [({}, {"max_usd": 0.0001}), ({}, {"dry_run": True}), ({"MEDIAGEN_MAX_USD_PER_CALL": "0.0001"}, {})],
    ids=["above max_usd", "dry run", "above a cap"],
)
async def test_nobody_is_asked_where_a_yes_would_change_nothing(
    asking: Asking, emulator: EmulatorHandle, changes: dict[str, str], arguments: dict[str, Any]
):
    async with asking(YES, **changes) as (client, asked):
        await client.call_tool("generate_image", {"prompt": "a fox", **arguments})
    assert asked == []
    assert paid(emulator) == 0


async def test_client_that_fails_to_ask_is_told_to_give_max_usd(
    make_settings: Callable[..., Settings], emulator: EmulatorHandle
):
    async def fail(context: Any, params: Any) -> ErrorData:
        return ErrorData(code=INTERNAL_ERROR, message="no window to ask in")

    server = build_server(make_settings(**DEAR))
    async with Client(server, mode="legacy", elicitation_callback=fail) as client:
        refused = await client.call_tool("generate_image", {"prompt": "a fox"})
    assert refused.is_error
    assert "max_usd=" in text_of(refused)
    assert paid(emulator) == 0


async def test_long_prompt_is_shortened_in_the_question(asking: Asking):
    async with asking(ElicitResult(action="decline")) as (client, asked):
        await client.call_tool("generate_image", {"prompt": "fox " * 1000})
    assert len(asked[0].message) < 500


@pytest.mark.parametrize(
    ("answer", "decision"),
    [
        ({"action": "accept"}, "accept"),
        ({"action": "accept", "content": {}}, "accept"),
        ({"action": "accept", "content": {"agree": "no"}}, "decline"),
        ({"action": "accept", "content": {"agree": False}}, "decline"),
        ({"action": "decline"}, "decline"),
        ({"action": "cancel"}, "cancel"),
        ({"action": "sure"}, "cancel"),
        ({}, "cancel"),
    ],
    ids=str,
)
def test_only_a_plain_yes_is_one(answer: dict[str, Any], decision: str):
    assert decision_of(answer) == decision


def test_form_is_one_box_that_is_set():
    assert form(Decimal("3.2"))["properties"]["agree"] == {"type": "boolean", "title": "Spend $3.20", "default": True}


async def first_round(client: Client, **arguments: Any) -> InputRequiredResult:
    asked = await client.session.call_tool("generate_image", arguments, allow_input_required=True)
    assert isinstance(asked, InputRequiredResult), asked
    return asked


async def second_round(
    client: Client, asked: InputRequiredResult, said: ElicitResult, **arguments: Any
) -> CallToolResult:
    answers: dict[str, Any] = dict.fromkeys(asked.input_requests or {}, said)
    result = await client.session.call_tool(
        "generate_image", arguments, input_responses=answers, request_state=asked.request_state
    )
    assert isinstance(result, CallToolResult)
    return result


@pytest.fixture
def modern(make_settings: Callable[..., Settings]) -> Callable[..., AbstractAsyncContextManager[Client]]:
    async def unused(context: Any, params: Any) -> ElicitResult:
        raise NotImplementedError

    return lambda **changes: Client(
        build_server(make_settings(**{**DEAR, **changes})), mode="auto", elicitation_callback=unused
    )


FOX = {"prompt": "a fox"}


async def test_one_yes_makes_one_job_however_often_it_comes(modern, emulator: EmulatorHandle):
    async with modern() as client:
        asked = await first_round(client, **FOX)
        answers = [await second_round(client, asked, YES, **FOX) for _ in range(3)]
    assert not answers[0].is_error, text_of(answers[0])
    assert len({str((answer.structured_content or {}).get("job_id")) for answer in answers}) == 1
    assert paid(emulator) == 1


async def test_wish_that_another_call_fulfils_meanwhile_is_not_paid_a_second_time(modern, emulator: EmulatorHandle):
    async with modern() as client:
        asked = await first_round(client, **FOX)
        other = await client.call_tool("generate_image", {**FOX, "max_usd": 1})
        answer = await second_round(client, asked, YES, **FOX)
    assert other.structured_content
    assert answer.structured_content
    assert answer.structured_content["job_id"] == other.structured_content["job_id"]
    assert "another call made for the same wish" in text_of(answer)
    assert paid(emulator) == 1


async def test_question_stays_open_when_another_wish_is_fulfilled(modern, emulator: EmulatorHandle):
    async with modern() as client:
        asked = await first_round(client, **FOX, request_id="mine")
        await client.call_tool("generate_image", {**FOX, "max_usd": 1, "request_id": "yours"})
        await client.call_tool("generate_image", {**FOX, "max_usd": 1, "force_new": True})
        await client.call_tool("generate_image", {"prompt": "a hat", "max_usd": 1})
        assert paid(emulator) == 3
        answer = await second_round(client, asked, YES, **FOX, request_id="mine")
    assert not answer.is_error, text_of(answer)
    assert paid(emulator) == 4


async def test_first_answer_holds_when_another_one_follows(modern, emulator: EmulatorHandle):
    async with modern() as client:
        asked = await first_round(client, **FOX)
        no = await second_round(client, asked, ElicitResult(action="decline"), **FOX)
        yes = await second_round(client, asked, YES, **FOX)
    assert "declined" in text_of(no)
    assert "declined" in text_of(yes)
    assert paid(emulator) == 0


async def test_same_call_asks_the_same_question_until_it_is_answered(modern, emulator: EmulatorHandle):
    async with modern() as client:
        one, other = await first_round(client, **FOX), await first_round(client, **FOX)
        made = [await second_round(client, asked, YES, **FOX) for asked in (one, other)]
    assert len({str((answer.structured_content or {}).get("job_id")) for answer in made}) == 1
    assert paid(emulator) == 1


async def test_what_changed_since_it_was_asked_about_is_not_made(modern, emulator: EmulatorHandle, work: Path):
    arguments = {"prompt": "a fox", "input_images": ["cat.png"]}
    Image.new("RGB", (64, 64), "red").save(work / "cat.png")
    async with modern() as client:
        asked = await first_round(client, **arguments)
        Image.new("RGB", (64, 64), "blue").save(work / "cat.png")
        refused = await second_round(client, asked, YES, **arguments)
    assert "has changed since" in text_of(refused)
    assert paid(emulator) == 0


async def test_too_many_open_questions_are_refused(modern, emulator: EmulatorHandle):
    async with modern() as client:
        for number in range(MOST_QUESTIONS):
            await first_round(client, prompt=f"fox {number}")
        refused = await client.session.call_tool("generate_image", {"prompt": "one more"}, allow_input_required=True)
    assert isinstance(refused, CallToolResult)
    assert "max_usd" in text_of(refused)
    assert paid(emulator) == 0


async def test_yes_whose_job_could_not_be_made_makes_it_when_it_is_said_again(
    modern, emulator: EmulatorHandle, work: Path
):
    arguments = {"prompt": "a fox", "input_images": ["cat.png"]}
    async with modern() as client:
        asked = await first_round(client, **arguments)
        (work / "cat.png").rename(work / "away.png")
        refused = await second_round(client, asked, YES, **arguments)
        assert refused.is_error
        assert paid(emulator) == 0
        (work / "away.png").rename(work / "cat.png")
        answers = [await second_round(client, asked, YES, **arguments) for _ in range(2)]
    assert not answers[0].is_error, text_of(answers[0])
    assert len({str((answer.structured_content or {}).get("job_id")) for answer in answers}) == 1
    assert paid(emulator) == 1
