"""mediagen.toml → profiles."""

import dataclasses
import tomllib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import SecretStr

from mediagen.errors import ConfigurationError
from mediagen.settings.profiles import Kind, Preset, ProfileSettings, names_in_words
from mediagen.settings.tables import (
    ARGUMENT_TABLES,
    PRESET_TABLES,
    Checker,
    EitherPreset,
    FileTable,
    ProfileTable,
    dotted,
)
from mediagen.settings.values import UNEXPANDED, is_unset, without_unset

SHARED_PROFILE = "default"
# Python reads a dotted key in time that grows with the square of its parts.
_MOST_POINTS = 200
_SECRETS = (
    ("gemini_api_key", "gemini_key_source", "api_key"),
    ("vertex_api_key", "vertex_key_source", "vertex_api_key"),
    ("access_token", "access_token_source", "access_token"),
)
_SAME = (
    "project",
    "location",
    "quota_project",
    "backend",
    "use_metadata_server",
    "bucket",
    "path",
    "max_usd_per_call",
    "max_usd_per_day",
    "max_usd_per_month",
    "confirm_above_usd",
    "no_spend",
)


def parse_toml(text: str, file: Path) -> dict[str, Any]:
    """The tables of a TOML text; numbers with a point are exact.

    Raises:
        ConfigurationError: It is no TOML; names the line, unless that is absurdly long.
    """
    if any(line.count(".") > _MOST_POINTS for line in text.splitlines()):
        raise ConfigurationError(
            f"{file} has a line with more than {_MOST_POINTS} points.", hint="Correct the file.", code="config_file"
        )
    try:
        return tomllib.loads(text, parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError) as error:
        reason = str(error) if isinstance(error, tomllib.TOMLDecodeError) else "it cannot be read"
        raise ConfigurationError(
            f"{file} is no valid TOML: {reason}.", hint="Correct the file.", code="config_file"
        ) from error


def read_toml(
    text: str, file: Path, environment: Mapping[str, str]
) -> tuple[tuple[ProfileSettings, ...], str | None, tuple[str, ...]]:
    """Profiles, the name of the default one, and warnings.

    Args:
        text: Contents of the file.
        file: Where it is; its folder is that of relative paths.
        environment: Variables, without those that count as unset.

    Raises:
        ConfigurationError: Names the file and each value that cannot be used.
    """
    raw = parse_toml(text, file)
    checker = Checker(file)
    top = checker.check(FileTable, without_unset(raw))
    shared = _arguments(checker, top)
    profiles = tuple(_profile(checker, name, table, shared, environment) for name, table in top.profiles.items())
    if not profiles and any(shared.values()):
        profiles = (_built(ProfileSettings(name=SHARED_PROFILE, file=file), shared, shared),)
    known = [profile.name for profile in profiles]
    if top.profile and top.profile not in known:
        checker.complain(f"names an unknown profile; known: {names_in_words(known) or 'none'}", "profile")
    checker.raise_problems()
    warnings = tuple(
        f'{file}: {path} is a literal "${{…}}" and counts as unset; variables are named with api_key_variable.'
        for path in _unexpanded(raw)
    )
    return profiles, top.profile, warnings


def holds_key(text: str) -> bool:
    """Whether a valid mediagen.toml holds a key itself, rather than the name of a variable."""
    profiles = tomllib.loads(text).get("profiles", {})
    secrets = (table.get(name, "") for table in profiles.values() for name in ("api_key", "vertex_api_key"))
    return any(not is_unset(secret) for secret in secrets)


def _profile(
    checker: Checker, name: str, raw: Mapping[str, Any], shared: dict[str, Any], environment: Mapping[str, str]
) -> ProfileSettings:
    where = ("profiles", name)
    table = checker.check(ProfileTable, raw, *where)
    values: dict[str, Any] = {field: getattr(table, field) for field in _SAME}
    problems = []
    for field, source_field, stem in _SECRETS:
        value, source, problem = _secret(checker, table, stem, where, environment)
        values[field], values[source_field] = value, source
        problems += [problem] if problem else []
    folder = checker.file.parent
    profile = ProfileSettings(
        name=name,
        file=checker.file,
        credentials_file=folder / table.credentials_file if table.credentials_file else None,
        output_dir=folder / table.output_dir if table.output_dir else None,
        problem=" ".join(problems) or None,
        **values,
    )
    own = _arguments(checker, table, *where)
    return _built(profile, own, shared)


def _secret(
    checker: Checker, table: ProfileTable, stem: str, where: tuple[str, ...], environment: Mapping[str, str]
) -> tuple[SecretStr | None, str, str]:
    """Value, where it came from, and what is wrong; at most one of the first and the last is given."""
    value: SecretStr | None = getattr(table, stem, None)
    variable: str | None = getattr(table, f"{stem}_variable")
    place = f"profile {where[-1]} in {checker.file}"
    if value and variable:
        checker.complain(f"and {stem}_variable exclude each other", *where, stem)
    if value or not variable:
        return value, place if value else "", ""
    found = environment.get(variable)
    if found is None:
        return None, "", f"The {place} takes its key from the variable {variable} ({stem}_variable), which is not set."
    if not found.isascii() or not found.isprintable() or " " in found:
        return None, "", f"The variable {variable}, which the {place} names, does not hold a key."
    return SecretStr(found), f"{variable}, named by {place}", ""


def _arguments(checker: Checker, table: FileTable | ProfileTable, *where: str) -> dict[str, Any]:
    """The tables `image`, `video` and `presets`, checked."""
    kinds: tuple[Kind, ...] = ("image", "video")
    checked: dict[str, Any] = {}
    for kind in kinds:
        values = checker.check(ARGUMENT_TABLES[kind], getattr(table, kind), *where, kind)
        checked[kind] = values.model_dump(exclude_none=True)
    checked["presets"] = {name: _preset(checker, raw, *where, "presets", name) for name, raw in table.presets.items()}
    return checked


def _preset(checker: Checker, raw: Mapping[str, Any], *where: str) -> Preset:
    kind = raw.get("kind")
    model = PRESET_TABLES.get(kind, EitherPreset) if isinstance(kind, str) else EitherPreset
    values = checker.check(model, raw, *where).model_dump(exclude_none=True)
    return Preset(kind=values.pop("kind", None), values=MappingProxyType(values))


def _built(profile: ProfileSettings, own: dict[str, Any], shared: dict[str, Any]) -> ProfileSettings:
    def merged(table: str) -> Mapping[str, Any]:
        return MappingProxyType({**shared[table], **own[table]})

    inherited = {
        f"{table}.{name}" for table in shared for name in shared[table] if own is shared or name not in own[table]
    }
    return dataclasses.replace(
        profile,
        image=merged("image"),
        video=merged("video"),
        presets=merged("presets"),
        shared=frozenset(inherited),
    )


def _unexpanded(table: Mapping[str, Any], *where: str) -> Iterator[str]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _unexpanded(value, *where, name)
        elif isinstance(value, str) and UNEXPANDED.fullmatch(value.strip()):
            yield dotted((*where, name))
