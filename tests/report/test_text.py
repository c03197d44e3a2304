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


async def test_charge_of_several_calls_is_computed_before_our_eyes(make_settings: MakeSettings, emulator):
    async with open_app(make_settings(**both(emulator.url))) as app:
        report = await image(app, count=2)
    assert report.charge.basis.startswith("2 × (")
