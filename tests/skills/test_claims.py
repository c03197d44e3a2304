"""What skills, agent, prompts and README say about mediagen is true."""

import re
from pathlib import Path

import pytest
from tests.conftest import Connect
from tests.skills.claims import ROOT, troubles, troubles_for_people

from mediagen.catalog import Catalog
from mediagen.server.prompts.definitions import prompt_data

SKILLS = ROOT / "skills"
TEXTS = sorted([*SKILLS.rglob("*.md"), *(ROOT / "agents").glob("*.md")])
FOR_PEOPLE = [ROOT / "README.md", *sorted((ROOT / "docs" / "guides").glob("*.md"))]


def of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def headings(path: Path) -> list[str]:
    return re.findall(r"^## (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("path", TEXTS, ids=of)
def test_every_claim_of_a_skill_or_agent_is_true(path: Path):
    assert troubles(path.read_text(encoding="utf-8"), path.parent) == []


@pytest.mark.parametrize("path", FOR_PEOPLE, ids=of)
def test_every_claim_of_readme_and_guides_is_true(path: Path):
    assert troubles_for_people(path.read_text(encoding="utf-8"), path.parent) == []


async def test_every_claim_of_a_prompt_is_true(connect: Connect):
    texts = {}
    async with connect(MEDIAGEN_TOOLSETS="core,jobs,edit") as client:
        for prompt in (await client.list_prompts()).prompts:
            given = {argument.name: "an example" for argument in prompt.arguments or () if argument.required}
            messages = (await client.get_prompt(prompt.name, given)).messages
            texts[prompt.name] = [message.content.text for message in messages if message.content.type == "text"]
    assert texts
    assert {name: found for name, parts in texts.items() if (found := troubles_for_people("\n".join(parts)))} == {}


@pytest.mark.parametrize(
    ("text", "trouble"),
    [
        ("`make_image(prompt=\"a cat\")`", "there is no tool make_image"),
        ('`generate_image(prompt="a cat", size="1K")`', "generate_image has no argument size"),
        ("`generate_image()`", "prompt is missing"),
        ("`generate_image(prompt=…, count=9)`", "count=9"),
        ('`generate_image("a cat")`', "has an argument without a name"),
        ('`generate_video(prompt="a cat", duration_seconds="eight")`', "duration_seconds='eight'"),
        ('`generate_video(prompt="a cat", preset="cinema")`', "preset='cinema' is none of"),
        ('`generate_image(prompt="a cat", aspect_ratio="7:5")`', "aspect_ratio='7:5' is none of"),
        ("```\nextend_video(source=\"a.mp4\")\n```", "prompt is missing"),
        ("`mask_mode=paint`", "mask_mode=paint"),
        ("`length=8`", "no tool has an argument length"),
        ("Use veo-2.0-generate-001 for it.", "there is no model veo-2.0-generate-001"),
        ("Imagen is `imagen-4.0-generate-001`.", "there is no model imagen-4.0-generate-001"),
        ("In 480p.", "there is no resolution 480p"),
        ("In 8K.", "there is no image size 8K"),
        ("`MEDIAGEN_OUT`", "there is no variable MEDIAGEN_OUT"),
        ("mediagen://pictures/1", "there is no address mediagen://pictures/1"),
        ("mcp__media__generate_image", "there is no tool mcp__media__generate_image"),
        ("mcp__mediagen__make_image", "there is no tool mcp__mediagen__make_image"),
        ("Exit code 9 means that.", "there is no exit code 9"),
        ("`mediagen film a`", "mediagen film a"),
        ("`mediagen concat --slow a b`", "--slow"),
        ("`artifacts[].file`", "no result has artifacts[].file"),
        ("`quote.dollars`", "no result has quote.dollars"),
        ("`/generate-song`", "there is no command /generate-song"),
        ("`sleeping`", "nothing is called sleeping"),
        ("`mediagen-mcp[films]`", "there is no extra mediagen-mcp[films]"),
        ("[more](reference/none.md)", "the link reference/none.md leads nowhere"),
    ],
)  # fmt: skip
def test_a_false_claim_is_found(text: str, trouble: str):
    assert trouble in "\n".join(troubles(text))


def test_true_claims_raise_no_trouble():
    text = (
        'Call `generate_video(prompt="a fox", model="veo-3.1-fast", resolution="1080p", dry_run=true)`, look at '
        "`quote.usd` and `artifacts[].path`, then `mediagen jobs list`; `status` is `succeeded`."
    )
    assert troubles(text) == []


def test_topics_of_help_are_those_that_it_lists():
    page = SKILLS / "generative" / "reference" / "help.md"
    listed = re.findall(r"`(\w+)`", page.read_text(encoding="utf-8").partition("Topics:")[2].partition(".\n")[0])
    assert listed == headings(page)
    assert {"image", "video", "examples", "modes"} <= set(listed)


def test_every_word_after_config_has_its_part():
    routes = (SKILLS / "generative" / "SKILL.md").read_text(encoding="utf-8")
    row = next(line for line in routes.splitlines() if line.startswith("| `config`"))
    named = re.findall(r"`(\w+)`", row)[1:]
    assert named == [
        heading for heading in headings(SKILLS / "generative" / "reference" / "config.md") if " " not in heading
    ]


def test_every_reference_file_is_linked_from_a_skill():
    linked = {
        (path.parent / target).resolve()
        for path in SKILLS.rglob("*.md")
        for target in re.findall(r"\]\(([^)#\s]+)\)", path.read_text(encoding="utf-8"))
    }
    assert [of(path) for path in SKILLS.rglob("reference/*.md") if path.resolve() not in linked] == []


def test_page_of_limits_says_by_what_a_mode_without_fields_is_done():
    lines = (SKILLS / "generate-video" / "reference" / "limits.md").read_text(encoding="utf-8").splitlines()
    ways = {mode: way for spec in Catalog.load().models("video") for mode, way in spec.ways.items()}
    assert {"reference_style", "insert_objects", "remove_objects"} <= set(ways)
    for mode, way in ways.items():
        found = [line for line in lines if f"`{mode}`:" in line]
        assert found
        assert all(f"as `{way}`, the rest is said in words" in line for line in found)


def test_every_page_that_speaks_of_a_mask_says_that_it_is_a_reference_picture():
    speaking = [path for path in TEXTS if re.search(r"\bmasks?\b", path.read_text(encoding="utf-8"))]
    assert speaking
    assert [of(path) for path in speaking if "reference picture" not in " ".join(path.read_text("utf-8").split())] == []


def test_skill_and_prompt_join_closing_credits_alike():
    skill = (SKILLS / "generative" / "reference" / "closing-credits.md").read_text(encoding="utf-8")
    prompt = "\n".join(step.text for step in prompt_data().prompts["closing_credits"].steps)
    joins = [re.findall(r"concat_videos\(sources=\[[^]]*\], (.+?)\)", text) for text in (skill, prompt)]
    assert joins[0] == joins[1] == ['transition="crossfade", crossfade_seconds=0.5']
