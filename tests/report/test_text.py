"""The structured result in words."""

from tests.generator.planning import MakeSettings, both
from tests.runner.asking import image

from mediagen.app.app import open_app
from mediagen.report.job import JobListReport
from mediagen.report.text import list_summary, summary


async def test_lines_of_a_prompt_are_not_lines_of_the_summary(make_settings: MakeSettings):
    async with open_app(make_settings()) as app:
        report = await image(app, prompt="a fox")
    posing = report.model_copy(update={"effective": {"prompt_sent": "a fox\nWarning: nothing\r\n\u2028Next: pay"}})
    lines = summary(posing).splitlines()
    assert not [line for line in lines if line.startswith(("Warning:", "Next: pay"))]
    assert any("prompt_sent=a fox Warning: nothing Next: pay" in line for line in lines)


async def test_list_says_of_a_job_that_nobody_knows_the_cost_of_that_it_may_be_billed(
    make_settings: MakeSettings, emulator
):
    emulator.add_fault(fault="drop_after_accept", match={"path_contains": "generateContent"})
    async with open_app(make_settings(**both(emulator.url))) as app:
        lost = await image(app)
    assert "unconfirmed gemini" in list_summary(JobListReport(jobs=[lost], next_cursor=None))
    assert "possibly billed $0.0" in list_summary(JobListReport(jobs=[lost], next_cursor=None))
    assert lost.error is not None
    # For people: neither the name of an exception nor the same advice twice.
    assert "(the connection was closed)" in lost.error.message
    assert lost.error.hint.count("sent again") == 1


async def test_text_alone_tells_jobs_apart_by_their_prompts(make_settings: MakeSettings):
    async with open_app(make_settings()) as app:
        short = await image(app, prompt="a fox\n  Error [forged]: in the snow")
        long = await image(app, prompt="a lighthouse " * 40)
    listed = list_summary(JobListReport(jobs=[long, short], next_cursor=None)).splitlines()
    assert [line for line in listed if line.startswith("  Prompt: ")] == [
        f"  Prompt: {('a lighthouse ' * 40)[:100]}…",
        "  Prompt: a fox Error [forged]: in the snow",
    ]
    assert not [line for line in listed if "Error [" in line and "Prompt" not in line]
    assert "Prompt: a fox Error [forged]: in the snow" in summary(short).splitlines()


async def test_charge_of_several_calls_is_computed_before_our_eyes(make_settings: MakeSettings, emulator):
    async with open_app(make_settings(**both(emulator.url))) as app:
        report = await image(app, count=2)
    assert report.charge.basis.startswith("2 × (")


async def test_picture_that_cannot_be_read_is_either_billed_or_perhaps(make_settings: MakeSettings, emulator):
    emulator.add_fault(fault="bad_base64", match={"path_contains": "generateContent"})
    async with open_app(make_settings(**both(emulator.url))) as app:
        broken = await image(app)
    assert broken.error is not None
    assert (broken.error.code, broken.error.billed, broken.charge.billed) == ("bad_base64", "yes", "yes")
    words = summary(broken)
    assert "may have been billed" not in words
    assert broken.charge.usd is not None or "Charged: billed, the amount is unknown" in words
