"""The structured result in words."""

from tests.generator.planning import MakeSettings
from tests.runner.asking import image

from mediagen.app.app import open_app
from mediagen.report.text import summary


async def test_lines_of_a_prompt_are_not_lines_of_the_summary(make_settings: MakeSettings):
    async with open_app(make_settings()) as app:
        report = await image(app, prompt="a fox")
    posing = report.model_copy(update={"effective": {"prompt_sent": "a fox\nWarning: nothing\r\n\u2028Next: pay"}})
    lines = summary(posing).splitlines()
    assert not [line for line in lines if line.startswith(("Warning:", "Next: pay"))]
    assert any("prompt_sent=a fox Warning: nothing Next: pay" in line for line in lines)
