"""Skills, agent and manifests: what Claude Code reads of them."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.skills.claims import PREFIXES, ROOT
from tests.skills.frontmatter import parts

from mediagen import __version__
from mediagen.server.toolsets import FREE, LOCAL, MAKES, TOOLS, TRIES
from mediagen.settings import read_settings

SKILLS = sorted((ROOT / "skills").glob("*/SKILL.md"))
AGENTS = sorted((ROOT / "agents").glob("*.md"))
FREE_TOOLS = {tool.name for tool in TOOLS if tool.annotations in (FREE, LOCAL, MAKES, TRIES)}
# Of Claude Code itself, and harmless: they ask, list names of files, or read the skill's own pages. Within a plugin the
# latter would be asked for otherwise; two slashes begin an absolute path.
OWN_PAGES = {"Read(/${CLAUDE_SKILL_DIR}/**)", "Read(/${CLAUDE_PLUGIN_ROOT}/skills/**)"}
OF_THE_HOST = {"AskUserQuestion", "Glob", *OWN_PAGES}
SKILL_FIELDS = {"name", "description", "argument-hint", "allowed-tools"}
AGENT_FIELDS = {"name", "description", "tools", "model", "color"}
THAI = re.compile(r"[\u0e00-\u0e7f]+")


def of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def head_of(path: Path) -> dict[str, Any]:
    return parts(path.read_text(encoding="utf-8"))[0]


def manifest(name: str) -> dict[str, Any]:
    found = json.loads((ROOT / name).read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def pre_approval_troubles(tools: list[str]) -> list[str]:
    """What may not be called unasked, and what is named under one prefix only."""
    ours = {tool for tool in tools if tool.startswith("mcp__")}
    names = {tool.rpartition("__")[2] for tool in ours}
    wanted = {prefix + name for prefix in PREFIXES for name in names}
    return [
        *(f"{tool} is not free" for tool in sorted(ours) if tool.rpartition("__")[2] not in FREE_TOOLS),
        *(f"{tool} is missing" for tool in sorted(wanted - ours)),
        *(f"{tool} is of no known prefix" for tool in sorted(ours - wanted)),
        *(f"{tool} goes too far" for tool in sorted({*tools} - ours - OF_THE_HOST)),
    ]


def test_the_three_skills_are_there():
    assert [path.parent.name for path in SKILLS] == ["generate-image", "generate-video", "generative"]


@pytest.mark.parametrize("path", SKILLS, ids=of)
def test_head_of_a_skill_is_what_claude_code_reads(path: Path):
    head = head_of(path)
    assert set(head) == SKILL_FIELDS
    assert head["name"] == path.parent.name
    assert 100 <= len(head["description"]) <= 1024
    assert "<" not in head["description"]


@pytest.mark.parametrize("path", SKILLS, ids=of)
def test_skill_pre_approves_only_what_is_free_under_both_prefixes(path: Path):
    assert pre_approval_troubles(head_of(path)["allowed-tools"]) == []


@pytest.mark.parametrize(
    ("tools", "trouble"),
    [
        ([prefix + "generate_image" for prefix in PREFIXES], "generate_image is not free"),
        ([prefix + "resolve_job" for prefix in PREFIXES], "resolve_job is not free"),
        ([prefix + "cancel_job" for prefix in PREFIXES], "cancel_job is not free"),
        (["mcp__mediagen__check_api"], "mcp__plugin_mediagen_mediagen__check_api is missing"),
        (["mcp__mediagen__*"], "mcp__mediagen__* is not free"),
        (["Bash"], "Bash goes too far"),
        (["Read"], "Read goes too far"),
    ],
)
def test_pre_approval_of_more_is_found(tools: list[str], trouble: str):
    assert trouble in "\n".join(pre_approval_troubles(tools))


@pytest.mark.parametrize(
    "text", ["name: x\n", "---\nname: a: b\n---\n", "---\nhint: [a] b\n---\n", "---\n  - a\n---\n"]
)
def test_head_that_yaml_reads_otherwise_is_refused(text: str):
    with pytest.raises(ValueError, match=r"head|YAML|read"):
        parts(text)


@pytest.mark.parametrize("path", [*SKILLS, *AGENTS], ids=of)
def test_body_is_short_and_the_long_parts_lie_beside_it(path: Path):
    body = parts(path.read_text(encoding="utf-8"))[1]
    assert len(body.splitlines()) < 150
    assert len(body) < 10_000
    for reference in path.parent.glob("reference/*.md"):
        assert len(reference.read_text(encoding="utf-8").splitlines()) < 200, reference.name


@pytest.mark.parametrize("path", SKILLS, ids=of)
def test_skill_says_that_nothing_is_spent_unasked_and_how_jobs_are_followed(path: Path):
    body = parts(path.read_text(encoding="utf-8"))[1]
    assert "**Nothing is spent unasked.**" in body
    assert "$ARGUMENTS" in body
    for needed in ("dry_run=true", "check_api()", "get_job(", "wait_seconds=45", "approval_needed", "max_usd"):
        assert needed in body, needed
    assert all(prefix in body for prefix in PREFIXES)


@pytest.mark.parametrize("path", SKILLS, ids=of)
def test_skill_offers_the_setup_where_nothing_works_and_asks_for_no_key(path: Path):
    body = " ".join(parts(path.read_text(encoding="utf-8"))[1].split())
    offer = re.search(r"no surface works|no surface that works", body)
    assert offer
    said = body[offer.start() : offer.start() + 350]
    assert "offer `/generative config setup`" in said
    assert 'backend="emulator"' in said
    assert "never ask for a key in the chat" in said


@pytest.mark.parametrize("path", SKILLS[:2], ids=of)
def test_skill_has_the_six_phases(path: Path):
    phases = re.findall(r"^## Phase (\d)", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert phases == ["0", "1", "2", "3", "4", "5"]


def test_agent_knows_wishes_in_thai_and_english_and_what_is_none():
    (path,) = AGENTS
    head, body = parts(path.read_text(encoding="utf-8"))
    assert set(head) == AGENT_FIELDS
    assert head["name"] == path.stem == "generative-media-navigator"
    description = str(head["description"])
    assert len(description) <= 1024
    for wish in ("สร้างวิดีโอ", "ทำวิดีโอ", "อยากได้วิดีโอ", "สร้างรูป", "ทำรูป", "สร้างภาพ"):
        assert wish in description, wish
    for wish in ("make me", "create a", "generate an", "I want"):
        assert wish in description, wish
    wishes, _, others = body.partition("Not a wish")
    assert len(THAI.findall(wishes)) >= 15
    for kind in ("earlier results", "status", "trouble", "refusals"):
        line = next(line for line in others.splitlines() if line.startswith("- ") and kind in line)
        assert THAI.search(line), kind


def agent_tools() -> set[str]:
    return {name.strip() for name in str(head_of(AGENTS[0])["tools"]).split(",")}


@pytest.mark.parametrize("skill", SKILLS, ids=of)
def test_agent_may_use_every_tool_that_the_skills_name(skill: Path):
    text = "\n".join(path.read_text(encoding="utf-8") for path in skill.parent.rglob("*.md"))
    named = {tool.name for tool in TOOLS if re.search(rf"(?<![a-z]){tool.name}\b", text)}
    assert named > {"generate_image", "check_api", "estimate_cost"}
    # What Google's bill says, only the user knows, and an agent apart from the conversation cannot ask.
    wanted = named - {"resolve_job"}
    assert {prefix + name for prefix in PREFIXES for name in wanted} - agent_tools() == set()


def test_agent_may_use_each_of_our_tools_under_both_names():
    tools = agent_tools()
    ours = {tool for tool in tools if tool.startswith("mcp__")}
    names = {tool.rpartition("__")[2] for tool in ours}
    assert names <= {tool.name for tool in TOOLS}
    assert ours == {prefix + name for prefix in PREFIXES for name in names}
    assert tools - ours == {"Skill", "Read", "Glob", "AskUserQuestion"}


@pytest.mark.parametrize("folder", ["skills", "agents"])
def test_checkout_has_the_same_skills_and_agents_as_the_plugin(folder: str):
    def contents(root: Path) -> dict[str, bytes]:
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}

    assert contents(ROOT / ".claude" / folder) == contents(ROOT / folder)


def test_tool_names_follow_from_plugin_and_server_name():
    plugin = manifest(".claude-plugin/plugin.json")
    assert list(plugin["mcpServers"]) == list(manifest(".mcp.json")["mcpServers"]) == ["mediagen"]
    assert ("mcp__mediagen__", f"mcp__plugin_{plugin['name']}_mediagen__") == PREFIXES


def test_plugin_and_checkout_start_the_same_server_from_their_own_folder():
    in_plugin = manifest(".claude-plugin/plugin.json")["mcpServers"]["mediagen"]
    in_checkout = manifest(".mcp.json")["mcpServers"]["mediagen"]
    assert in_plugin["args"] == ["--compile-bytecode", "--from", "${CLAUDE_PLUGIN_ROOT}[emulator]", "mediagen-mcp"]
    assert in_checkout["args"] == ["--compile-bytecode", "--from", ".[emulator]", "mediagen-mcp"]
    assert {key: value for key, value in in_plugin.items() if key != "args"} == {
        key: value for key, value in in_checkout.items() if key != "args"
    }


@pytest.mark.parametrize("name", [".claude-plugin/plugin.json", ".mcp.json", "mcp.json.example"])
def test_server_reads_what_the_host_hands_over_for_unset_variables(name: str):
    variables = manifest(name)["mcpServers"]["mediagen"]["env"]
    for variable, value in variables.items():
        assert re.fullmatch(r"\$\{" + variable + r":-[a-z,]*\}", value), variable
    expanded = {variable: value.partition(":-")[2].rstrip("}") for variable, value in variables.items()}
    usual = read_settings({"MEDIAGEN_TOOLSETS": expanded.get("MEDIAGEN_TOOLSETS", "")})
    assert read_settings(expanded) == usual
    # Some hosts do not expand at all.
    assert read_settings(variables) == read_settings({})


def test_plugin_offers_the_tools_that_edit():
    value = manifest(".claude-plugin/plugin.json")["mcpServers"]["mediagen"]["env"]["MEDIAGEN_TOOLSETS"]
    toolsets = read_settings({"MEDIAGEN_TOOLSETS": value.partition(":-")[2].rstrip("}")}).toolsets
    named = {tool.rpartition("__")[2] for path in SKILLS for tool in head_of(path)["allowed-tools"] if "__" in tool}
    assert named <= {tool.name for tool in TOOLS if tool.toolset in toolsets}


def test_manifests_carry_the_version_of_the_package():
    assert manifest(".claude-plugin/plugin.json")["version"] == __version__
    assert "version" not in manifest(".claude-plugin/marketplace.json")["plugins"][0]


def test_icon_is_square_and_small():
    path = ROOT / manifest(".claude-plugin/plugin.json")["icon"]
    with Image.open(path) as icon:
        assert (icon.format, icon.size) == ("PNG", (512, 512))
    assert path.stat().st_size < 50_000
