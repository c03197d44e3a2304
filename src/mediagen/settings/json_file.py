"""config.json of schema v2.1 → profiles; read only."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import SecretStr

from mediagen.errors import ConfigurationError
from mediagen.settings.profiles import Kind, ProfileSettings
from mediagen.settings.tables import ARGUMENT_TABLES, Checker, ProfileTable, dotted
from mediagen.settings.values import without_unset

MARK = "main_projects"
IMAGE_SIZES = ("512", "1K", "2K", "4K")
_ARGUMENT_NAMES: Mapping[Kind, Mapping[str, str]] = {
    "video": {
        "model": "model",
        "duration": "duration_seconds",
        "aspect_ratio": "aspect_ratio",
        "resolution": "resolution",
    },
    "image": {"model": "model", "aspect_ratio": "aspect_ratio", "resolution": "image_size"},
}
_TOP = (MARK, "defaults", "output", "version", "schema_version")
_SECONDS = re.compile(r"(\d{1,3})\s*s?")


def parse_json(text: str, file: Path) -> dict[str, Any]:
    """The object of a JSON text.

    Raises:
        ConfigurationError: It is no JSON object; names the line.
    """
    try:
        found = json.loads(text)
        # Half characters could be shown in no message.
        json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        place = f": {error.msg} at line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise ConfigurationError(
            f"{file} is no valid JSON{place}.", hint="Correct the file.", code="config_file"
        ) from error
    if not isinstance(found, dict) or not isinstance(found.get(MARK), dict):
        raise ConfigurationError(
            f"{file} is no configuration of schema v2.1: it has no table {MARK!r}.",
            hint="Name a mediagen.toml, or a config.json with main_projects.",
            code="config_file",
        )
    return found


def is_of_schema(text: str) -> bool:
    """Whether a JSON file is meant for us; one of another program is not, even when it is broken."""
    if f'"{MARK}"' not in text:
        return False
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return True
    return isinstance(found, dict) and MARK in found


def read_json(text: str, file: Path) -> tuple[tuple[ProfileSettings, ...], tuple[str, ...]]:
    """One profile for each project, and what is not honoured.

    Raises:
        ConfigurationError: Names the file and each value that cannot be used.
    """
    raw = parse_json(text, file)
    checker, ignored = Checker(file), [dotted((name,)) for name in _others(raw, *_TOP)]
    defaults = {kind: MappingProxyType(_defaults(checker, raw, kind, ignored)) for kind in _ARGUMENT_NAMES}
    ignored += [f"defaults.{name}" for name in _others(_table(raw, "defaults"), "image", "video")]
    profiles = tuple(
        _project(checker, name, table, ignored, defaults) for name, table in _table(raw, MARK).items() if name.strip()
    )
    checker.raise_problems()
    ignored += list(_ignored_output(_table(raw, "output")))
    return profiles, (f"{file}: not honoured: {', '.join(ignored)}.",) if ignored else ()


def _table(raw: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = raw.get(name)
    return found if isinstance(found, dict) else {}


def _others(table: Mapping[str, Any], *known: str) -> list[str]:
    """Names that mean nothing to us; notes for readers are not counted."""
    return [name for name in table if name not in known and not name.startswith(("_", "$"))]


def _project(
    checker: Checker, name: str, raw: Any, ignored: list[str], defaults: Mapping[Kind, Mapping[str, Any]]
) -> ProfileSettings:
    where = (MARK, name)
    if not isinstance(raw, dict):
        checker.complain("must be a table", *where)
        raw = {}
    bucket = _table(raw, "gcs")
    ignored += [dotted((*where, key)) for key in _others(raw, "location", "api_key", "gcs")]
    ignored += [dotted((*where, "gcs", key)) for key in _others(bucket, "bucket", "output_path")]
    given = {
        "project": name,
        "location": raw.get("location"),
        "api_key": raw.get("api_key"),
        "bucket": bucket.get("bucket"),
        "path": bucket.get("output_path"),
    }
    table = checker.check(ProfileTable, without_unset(given), *where)
    source = f"profile {name} in {checker.file}" if table.api_key else ""
    return ProfileSettings(
        name=name,
        file=checker.file,
        project=table.project,
        location=table.location,
        bucket=table.bucket,
        path=table.path,
        image=defaults["image"],
        video=defaults["video"],
        shared=frozenset(f"{kind}.{argument}" for kind in defaults for argument in defaults[kind]),
        **_credential(table.api_key, source),
    )


def _credential(key: SecretStr | None, source: str) -> dict[str, Any]:
    """The schema has one place for keys and for tokens of `gcloud auth print-access-token`, which are no keys."""
    if key and key.get_secret_value().startswith("ya29."):
        return {"access_token": key, "access_token_source": source}
    return {"gemini_api_key": key, "gemini_key_source": source}


def _defaults(checker: Checker, raw: Mapping[str, Any], kind: Kind, ignored: list[str]) -> dict[str, Any]:
    given = without_unset(_table(_table(raw, "defaults"), kind))
    names, where = _ARGUMENT_NAMES[kind], ("defaults", kind)
    ignored += [dotted((*where, name)) for name in _others(given, *names)]
    values = {names[name]: value for name, value in given.items() if name in names and value is not None}
    if "duration_seconds" in values:
        values["duration_seconds"] = _seconds(values["duration_seconds"])
    size = values.get("image_size")
    if isinstance(size, str):
        values["image_size"] = size.upper()
        if size.upper() not in IMAGE_SIZES:
            # Older files hold pixels here ("1024x1024"), which are no sizes of Google's.
            ignored.append(dotted((*where, "resolution")))
            del values["image_size"]
    return checker.check(ARGUMENT_TABLES[kind], values, *where).model_dump(exclude_none=True)


def _seconds(value: Any) -> Any:
    found = _SECONDS.fullmatch(value.strip()) if isinstance(value, str) else None
    return int(found[1]) if found else value


def _ignored_output(output: Mapping[str, Any]) -> Iterator[str]:
    for name, value in output.items():
        if name == "auto_save_metadata":
            if value is not True:
                yield "output.auto_save_metadata (a description is always saved beside the file)"
        elif name in {"image_dir", "video_dir"}:
            yield f"output.{name} (use output_dir of a profile in mediagen.toml, or MEDIAGEN_OUTPUT_DIR)"
        elif not name.startswith(("_", "$")):
            yield dotted(("output", name))
