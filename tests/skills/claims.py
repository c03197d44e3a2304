"""Reads Markdown and says what it claims about mediagen that is not so."""

import ast
import re
import shlex
from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stderr
from dataclasses import dataclass
from functools import cache
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from mediagen.catalog import Catalog
from mediagen.cli.parser import build_parser
from mediagen.jobs import JobStatus
from mediagen.modes import MODES
from mediagen.presets import built_in_presets
from mediagen.server.toolsets import TOOLS
from mediagen.settings import Settings, variables_of
from mediagen.settings.settings import TOOLSETS

ROOT = Path(__file__).parents[2]
PREFIXES = ("mcp__mediagen__", "mcp__plugin_mediagen_mediagen__")
ANY = "…"
# What Claude Code, the shell and the file system call things; it cannot be looked up in mediagen.
FOREIGN = re.compile(
    r"/(mcp|plugin)( .*)?|https?://\S*|gs://|:(asset|style)|\.json|[\w.-]+\.(png|jpe?g|mp4|mp3|toml)|"
    r"(export|setx) [A-Z_]+[= ]…|gcloud auth application-default login|\{project\}-media-output|uvx|true|false"
)
CALL = re.compile(r"(?<![\w.])([a-z][a-z_]*)\(")
MODEL = re.compile(r"(?<![\w./-])(?:veo|imagen|nano-banana|omni|gemini-(?:omni|nano|\d))-?[\w.-]*\d[\w.-]*")
RESOLUTION = re.compile(r"(?<!\w)(\d{3,4}p|[48]k)(?!\w)")
IMAGE_SIZE = re.compile(r"(?<!\w)\d+K(?!\w)")
VARIABLE = re.compile(r"(?<!\w)(?:MEDIAGEN|CLIPROXY)_[A-Z_]*[A-Z](?!\w)")
URI = re.compile(r"mediagen://[\w/{}<>.-]+")
EXIT_CODE = re.compile(r"exit code (\d+)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """What there is."""

    requests: dict[str, type[BaseModel]]
    values: dict[str, frozenset[str]]
    results: dict[str, frozenset[str]]
    words: frozenset[str]
    variables: frozenset[str]
    addresses: frozenset[str]
    exit_codes: frozenset[str]


@cache
def known() -> Known:
    """What there is, from the code."""
    catalog = Catalog.load()
    living = [spec for spec in catalog.models() if spec.status != "retired"]
    values = {
        "model": frozenset(spec.id for spec in living) | frozenset(catalog.aliases),
        "preset": frozenset(built_in_presets()),
        "aspect_ratio": frozenset(ratio for spec in living for ratio in spec.aspect_ratios or ()),
        "image_size": frozenset(size for spec in living for size in spec.image_sizes or ()),
        "resolution": frozenset(name for spec in living for name in spec.resolutions or ()),
    }
    results = dict(_fields_of_results())
    arguments = {name for tool in TOOLS for name in tool.request.model_fields}
    codes = re.findall(r"`([a-z_]+)`", (ROOT / "docs/reference/errors.md").read_text(encoding="utf-8"))
    page = (ROOT / "docs/reference/cli.md").read_text(encoding="utf-8")
    return Known(
        requests={tool.name: tool.request for tool in TOOLS},
        values=values,
        results=results,
        words=frozenset({*(tool.name for tool in TOOLS), *arguments, *codes, *MODES, *TOOLSETS, *results})
        | frozenset(status.value for status in JobStatus)
        | frozenset(word for found in values.values() for word in found)
        | frozenset(_choices()),
        variables=frozenset(name for field in Settings.model_fields for name in variables_of(field)),
        addresses=frozenset({"mediagen://artifacts"}) | _addresses(),
        exit_codes=frozenset(re.findall(r"(\d+) ", page.partition("Exit codes:")[2].partition("\n")[0])),
    )


def _choices() -> Iterator[str]:
    """Words that arguments take one of."""
    for tool in TOOLS:
        for field in tool.request.model_json_schema()["properties"].values():
            for part in (field, *field.get("anyOf", ())):
                yield from (str(value) for value in part.get("enum", ()))


def _fields_of_results() -> Iterator[tuple[str, frozenset[str]]]:
    """Every field of a result, and the fields of what is in it."""
    found: dict[str, set[str]] = {}
    for report in {tool.result for tool in TOOLS}:
        schema = report.model_json_schema()
        for model in (schema, *schema.get("$defs", {}).values()):
            for name, field in model.get("properties", {}).items():
                inside = re.findall(r"#/\$defs/(\w+)", str(field))
                found.setdefault(name, set()).update(
                    part for ref in inside for part in schema["$defs"][ref].get("properties", {})
                )
    yield from ((name, frozenset(parts)) for name, parts in found.items())


def _addresses() -> frozenset[str]:
    """First parts of the addresses that the server's source registers."""
    folders = (ROOT / "src/mediagen/server", ROOT / "src/mediagen/media")
    source = "".join(path.read_text(encoding="utf-8") for folder in folders for path in folder.rglob("*.py"))
    return frozenset(re.findall(r"mediagen://[a-z]+", source))


def calls(text: str) -> Iterator[tuple[str, str]]:
    """Name and source of everything that is written as a call."""
    for match in CALL.finditer(text):
        depth, quoted, position = 0, False, match.end() - 1
        while position < len(text):
            character = text[position]
            if character == "\\":
                position += 1
            elif character == '"':
                quoted = not quoted
            elif not quoted:
                depth += {"(": 1, ")": -1}.get(character, 0)
                if depth == 0:
                    break
            position += 1
        yield match[1], text[match.start() : position + 1]


def arguments(source: str) -> dict[str, Any]:
    """Arguments of a call as they are written, with `true` and `false` of JSON, and … for any value.

    Raises:
        ValueError: It cannot be read, or has an argument without a name.
    """
    outside = re.split(r"(\"(?:\\.|[^\"\\])*\")", source)
    outside[::2] = [part.replace(ANY, f'"{ANY}"') for part in outside[::2]]
    try:
        call = ast.parse("".join(outside), mode="eval").body
    except SyntaxError as error:
        raise ValueError(f"cannot be read: {error.msg}") from error
    if not isinstance(call, ast.Call) or call.args:
        raise ValueError("has an argument without a name")
    return {keyword.arg or "**": _value(keyword.value) for keyword in call.keywords}


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Name) and node.id in ("true", "false"):
        return node.id == "true"
    return ast.literal_eval(node)


def call_troubles(name: str, source: str) -> Iterator[str]:
    """What is wrong with a call."""
    request = known().requests.get(name)
    if request is None:
        yield f"{source}: there is no tool {name}"
        return
    try:
        given = arguments(source)
    except ValueError as error:
        yield f"{source}: {error}"
        return
    for argument, value in given.items():
        if argument not in request.model_fields:
            yield f"{source}: {name} has no argument {argument}"
        else:
            yield from (f"{source}: {trouble}" for trouble in value_troubles(request, argument, value))
    missing = [field for field, info in request.model_fields.items() if info.is_required() and field not in given]
    if missing:
        yield f"{source}: {missing[0]} is missing"


def value_troubles(request: type[BaseModel], argument: str, value: object) -> Iterator[str]:
    """What is wrong with the value of an argument."""
    if value in (ANY, [ANY]):
        return
    info = request.model_fields[argument]
    adapter: TypeAdapter[Any] = TypeAdapter(info.rebuild_annotation())
    try:
        adapter.validate_python(value)
    except ValidationError as error:
        yield f"{argument}={value!r}: {error.errors()[0]['msg']}"
    allowed = known().values.get(argument)
    if allowed and value not in allowed:
        yield f"{argument}={value!r} is none of {', '.join(sorted(allowed))}"


def pattern_troubles(text: str) -> Iterator[str]:
    """Models, sizes, variables, addresses and exit codes that do not exist, wherever they stand."""
    found = known()
    checks: tuple[tuple[re.Pattern[str], str, Callable[[str], bool]], ...] = (
        (MODEL, "model", lambda word: word.rstrip(".-") in found.values["model"]),
        (RESOLUTION, "resolution", lambda word: word in found.values["resolution"]),
        (IMAGE_SIZE, "image size", lambda word: word in found.values["image_size"]),
        (VARIABLE, "variable", lambda word: word in found.variables),
        (URI, "address", lambda word: any(word.startswith(address) for address in found.addresses)),
        (re.compile(r"mcp__\w+"), "tool", lambda word: _is_tool(word, found)),
    )
    for pattern, kind, exists in checks:
        yield from (f"there is no {kind} {word}" for word in set(_whole(pattern, text)) if not exists(word))
    yield from (f"there is no exit code {code}" for code in EXIT_CODE.findall(text) if code not in found.exit_codes)


def _whole(pattern: re.Pattern[str], text: str) -> Iterator[str]:
    return (match[0] for match in pattern.finditer(text))


def _is_tool(word: str, found: Known) -> bool:
    return any(word.removeprefix(prefix) in found.requests for prefix in PREFIXES if word.startswith(prefix))


def command_troubles(line: str) -> Iterator[str]:
    """What the command line says to a command."""
    words = [word for word in shlex.split(line, comments=True)[1:] if word != "&"]
    if words[:1] == ["emulator"]:
        return  # its options are its own
    try:
        with redirect_stderr(StringIO()) as said:
            build_parser().parse_args(words)
    except SystemExit as error:
        if error.code:
            yield f"{line}: {said.getvalue().strip().splitlines()[-1]}"


def span_troubles(span: str) -> Iterator[str]:
    """What is wrong with words set as code; every one has to be known."""
    if CALL.match(span):
        return  # looked at with all calls
    if (command := span.removeprefix("uvx --from FOLDER ")).startswith("mediagen "):
        yield from command_troubles(command)
    elif (match := re.fullmatch(r"([a-z_]+)=(.+)", span)) and not span.startswith("export"):
        yield from _pair_troubles(span, match[1], match[2])
    elif re.fullmatch(r"[\w\[\]]+(\.\w+)+", span) and not FOREIGN.fullmatch(span):
        yield from _path_troubles(span)
    elif span.startswith(("/generat", "/mediagen:")):
        if not re.match(r"/(mediagen:)?(generative|generate-image|generate-video)\b", span):
            yield f"there is no command {span}"
    elif re.fullmatch(r"mediagen-mcp\[\w+\]", span):
        if f"\n{span[13:-1]} = [" not in (ROOT / "pyproject.toml").read_text(encoding="utf-8"):
            yield f"there is no extra {span}"
    elif not _is_word(span):
        yield f"nothing is called {span}"


def _is_word(span: str) -> bool:
    found = known()
    bare = span.removeprefix("mediagen:").removesuffix("[]")
    return (
        span in found.words
        or span in found.variables
        or bool(FOREIGN.fullmatch(span) or URI.match(span) or _is_tool(span, found))
        or (ROOT / "skills" / bare / "SKILL.md").is_file()
        or bare in _routes()
    )


def _pair_troubles(span: str, argument: str, written: str) -> Iterator[str]:
    takers = [request for request in known().requests.values() if argument in request.model_fields]
    if not takers:
        yield f"{span}: no tool has an argument {argument}"
        return
    try:
        value = _value(ast.parse(written, mode="eval").body)
    except (SyntaxError, ValueError):
        value = written
    found = [list(value_troubles(request, argument, value)) for request in takers]
    if all(found):
        yield f"{span}: {found[0][0]}"


def _path_troubles(span: str) -> Iterator[str]:
    parts = [part.removesuffix("[]") for part in span.split(".")]
    results = known().results
    if parts[0] not in results or any(part not in results[before] for before, part in pairwise(parts)):
        yield f"no result has {span}"


def _routes() -> frozenset[str]:
    """First words and topics of /generative, as its skill has them."""
    folder = ROOT / "skills" / "generative"
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", (folder / "SKILL.md").read_text(encoding="utf-8"), re.MULTILINE)
    pages = [(folder / "reference" / name).read_text(encoding="utf-8") for name in ("help.md", "config.md")]
    topics = [topic for page in pages for topic in re.findall(r"^## (\w+)$", page, re.MULTILINE)]
    return frozenset(topics) | frozenset(re.findall(r"\w+", " ".join(rows)))


def fences(text: str) -> list[str]:
    """Blocks of code."""
    return re.findall(r"^ *```\w*\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)


def spans(text: str) -> list[str]:
    """Words set as code within sentences."""
    without = re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", without)]


def link_troubles(text: str, folder: Path) -> Iterator[str]:
    """Links to files that do not exist."""
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        if "://" not in target and not (folder / target).exists():
            yield f"the link {target} leads nowhere"


def troubles(text: str, folder: Path = ROOT) -> list[str]:
    """Everything that a text for the model claims and that is not so: each word set as code has to be known."""
    found: list[str] = list(_everywhere(text, folder))
    for name, source in calls("\n".join([*fences(text), *spans(text)])):
        found.extend(call_troubles(name, source))
    for span in spans(text):
        found.extend(span_troubles(span))
    return found


def troubles_for_people(text: str, folder: Path = ROOT) -> list[str]:
    """The same for a text that speaks of other things, too: only what can be told to be ours."""
    found: list[str] = list(_everywhere(text, folder))
    for name, source in calls("\n".join([*fences(text), *spans(text)])):
        if name in known().requests:
            found.extend(call_troubles(name, source))
    for line in "\n".join(fences(text)).splitlines():
        if line.startswith("mediagen "):
            found.extend(command_troubles(line))
    return found


def _everywhere(text: str, folder: Path) -> Iterable[str]:
    return (*pattern_troubles(text), *link_troubles(text, folder))
