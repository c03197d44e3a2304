"""Shows settings and the catalogue: what is in force and where it comes from."""

import os

from pydantic import AliasChoices, BaseModel, SecretStr

from mediagen.catalog import Catalog, ModelSpec
from mediagen.generator.checks import usual_quote
from mediagen.pricing import Prices
from mediagen.report.text import quote_in_words
from mediagen.settings import Settings


class SettingRow(BaseModel):
    """One setting; keys are shown as [set], never their value."""

    variable: str
    value: str
    origin: str
    meaning: str


class SettingsReport(BaseModel):
    """Result of `config show` and `config path`."""

    settings: list[SettingRow]
    output_dir: str
    ledger: str
    input_roots: list[str]


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


def settings_rows(settings: Settings, *, only_paths: bool) -> tuple[SettingsReport, str]:
    """Every setting with its value and origin."""
    rows = [] if only_paths else [_row(name, settings) for name in Settings.model_fields if variables_of(name)]
    report = SettingsReport(
        settings=rows,
        output_dir=str(settings.folder_for_files()),
        ledger=str(settings.folder_for_state() / "ledger.sqlite3"),
        input_roots=[str(root) for root in settings.roots_for_inputs()],
    )
    lines = [f"{row.variable} = {row.value} ({row.origin})" for row in rows]
    lines += [
        f"files go to: {report.output_dir}",
        f"ledger: {report.ledger}",
        f"inputs may come from (MCP server): {', '.join(report.input_roots)}",
    ]
    return report, "\n".join(lines)


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


def variables_of(name: str) -> tuple[str, ...]:
    """Environment variables of a setting, the winning one first; none for what is derived."""
    alias = Settings.model_fields[name].validation_alias
    if isinstance(alias, AliasChoices):
        return tuple(str(choice) for choice in alias.choices)
    return (alias,) if isinstance(alias, str) else ()


def _row(name: str, settings: Settings) -> SettingRow:
    variables = variables_of(name)
    field = Settings.model_fields[name]
    origin = next((variable for variable in variables if os.environ.get(variable, "").strip()), "default")
    value = getattr(settings, name)
    is_default = value == field.get_default()
    shown = "[set]" if isinstance(value, SecretStr) else "unset" if value is None else str(value)
    return SettingRow(
        variable=" or ".join(variables),
        value=shown,
        origin="default" if is_default and origin == "default" else f"environment {origin}",
        meaning=field.description or "",
    )
