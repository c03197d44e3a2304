"""Shows settings, profiles and the catalogue: what is in force and where it comes from."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from mediagen.catalog import Catalog, ModelSpec
from mediagen.errors import ConfigurationError
from mediagen.generator.estimates import usual_quote
from mediagen.jobs import public_address
from mediagen.ledger.glance import LEDGER_FILE
from mediagen.pricing import Prices
from mediagen.report.text import quote_in_words
from mediagen.settings import Preset, ProfileSettings, Settings, candidate_files, usable_variables, variables_of

SECRETS = {
    "gemini_api_key": "gemini_key_source",
    "vertex_api_key": "vertex_key_source",
    "access_token": "access_token_source",
}
UNSET = "unset"
NOT_SHOWN = {"name", "file", "problem", "shared", *SECRETS.values()}


class SettingRow(BaseModel):
    """One setting; keys are shown as [set], never their value."""

    variable: str
    value: str
    origin: str
    meaning: str


class ProfileValue(BaseModel):
    """One value of a profile."""

    name: str
    value: str
    origin: str


class ProfileRow(BaseModel):
    """One profile of the configuration file."""

    name: str
    chosen: bool
    values: list[ProfileValue]
    problem: str | None


class SettingsReport(BaseModel):
    """Result of `config show` and `config path`."""

    settings: list[SettingRow]
    profiles: list[ProfileRow]
    output_dir: str
    ledger: str
    input_roots: list[str]
    config_file: str | None
    looked_for: list[str]
    warnings: list[str]


class ModelRow(BaseModel):
    """One model of the catalogue."""

    id: str
    kind: str
    status: str
    surfaces: list[str]
    usual_price: str
    replacement: str | None
    as_of: str
    source: str


class ModelsReport(BaseModel):
    """Result of `models`."""

    models: list[ModelRow]


def _ledger(settings: Settings) -> str:
    folder = settings.folder_for_state()
    if settings.database_url:
        return f"the database in MEDIAGEN_DATABASE_URL, with files in {folder}"
    return str(folder / LEDGER_FILE)


def settings_rows(settings: Settings, *, only_paths: bool) -> tuple[SettingsReport, str]:
    """Every setting and profile with its values and origins."""
    chosen, trouble = _chosen(settings)
    rows = [] if only_paths else [_row(name, settings) for name in Settings.model_fields if variables_of(name)]
    report = SettingsReport(
        settings=rows,
        profiles=[] if only_paths else [_profile(profile, profile is chosen) for profile in settings.profiles],
        output_dir=str(chosen.output_dir if chosen and chosen.output_dir else settings.folder_for_files()),
        ledger=_ledger(settings),
        input_roots=[str(root) for root in settings.roots_for_inputs()],
        config_file=str(settings.config_path) if settings.config_path else None,
        looked_for=[str(path) for path in candidate_files(usable_variables())],
        warnings=[*settings.warnings, *trouble],
    )
    return report, "\n".join(_lines(report))


def _lines(report: SettingsReport) -> Iterator[str]:
    for row in report.settings:
        yield f"{row.variable} = {row.value}" + ("" if row.value == UNSET else f" ({row.origin})")
    for profile in report.profiles:
        yield f"profile {profile.name}{' (in use)' if profile.chosen else ''}:"
        yield from (f"  {value.name} = {value.value} ({value.origin})" for value in profile.values)
        if profile.problem:
            yield f"  Problem: {profile.problem}"
    yield f"files go to: {report.output_dir}"
    yield f"ledger: {report.ledger}"
    yield f"inputs may come from (MCP server): {', '.join(report.input_roots)}"
    yield f"configuration file: {report.config_file or 'none'}"
    yield f"configuration file is looked for at: {', '.join(report.looked_for)}"
    yield from (f"Warning: {warning}" for warning in report.warnings)


def _chosen(settings: Settings) -> tuple[ProfileSettings | None, tuple[str, ...]]:
    """The profile in use; when none can be chosen, why."""
    try:
        return settings.choose_profile(None), ()
    except ConfigurationError as error:
        return None, (str(error),)


def _profile(profile: ProfileSettings, chosen: bool) -> ProfileRow:
    return ProfileRow(name=profile.name, chosen=chosen, values=list(_values(profile)), problem=profile.problem)


def _values(profile: ProfileSettings) -> Iterator[ProfileValue]:
    for name in ProfileSettings.__dataclass_fields__:
        value = getattr(profile, name)
        if name in NOT_SHOWN or value in (None, False):
            continue
        if isinstance(value, SecretStr):
            yield ProfileValue(name=name, value="[set]", origin=getattr(profile, SECRETS[name]))
        elif isinstance(value, Mapping):
            yield from _entries(profile, name, value)
        else:
            missing = " (there is no such file)" if name == "credentials_file" and not value.is_file() else ""
            yield ProfileValue(name=name, value=f"{value}{missing}", origin=_place(profile.file, profile.name))


def _entries(profile: ProfileSettings, table: str, entries: Mapping[str, Any]) -> Iterator[ProfileValue]:
    for name, value in entries.items():
        path = f"{table}.{name}"
        shown = _preset_in_words(value) if isinstance(value, Preset) else str(value)
        owner = "all profiles" if path in profile.shared else profile.name
        yield ProfileValue(name=path, value=shown, origin=_place(profile.file, owner))


def _place(file: Path, owner: str) -> str:
    return f"{file}, {owner}"


def _preset_in_words(preset: Preset) -> str:
    values = ", ".join(f"{name}={value}" for name, value in preset.values.items())
    return f"[{preset.kind}] {values}" if preset.kind else values


def models_text() -> tuple[ModelsReport, str]:
    """The catalogue, living models first."""
    specs = sorted(Catalog.load().models(), key=lambda spec: (spec.status == "retired", spec.kind, spec.id))
    prices = Prices.load()
    report = ModelsReport(models=[_model(spec, prices) for spec in specs])
    lines = [
        f"{row.kind:5} {row.id:34} {row.status:9} {', '.join(row.surfaces):25} {row.usual_price}"
        + (f" -> {row.replacement}" if row.replacement else "")
        for row in report.models
    ]
    return report, "\n".join(lines)


def _model(spec: ModelSpec, prices: Prices) -> ModelRow:
    return ModelRow(
        id=spec.id,
        kind=spec.kind,
        status=spec.status,
        surfaces=list(spec.surfaces),
        usual_price="" if spec.status == "retired" else quote_in_words(usual_quote(spec, prices)),
        replacement=spec.replacement,
        as_of=str(spec.as_of),
        source=spec.source,
    )


def _row(name: str, settings: Settings) -> SettingRow:
    source = settings.source_of(name)
    field = Settings.model_fields[name]
    value = getattr(settings, name)
    changed = value != field.get_default(call_default_factory=True)
    return SettingRow(
        variable=" or ".join(variables_of(name)),
        value=_shown(name, value, source),
        origin=f"environment {source}" if source else "environment" if changed else "default",
        meaning=field.description or "",
    )


def _shown(name: str, value: object, source: str) -> str:
    if isinstance(value, SecretStr):
        return "[set]" if source else "[default]"
    if name.endswith("_base_url") and isinstance(value, str):
        return str(public_address(value))
    if isinstance(value, tuple):
        return ", ".join(str(item) for item in value)
    return UNSET if value is None else str(value)
