"""Settings of one process: read once from the environment, passed down as values."""

import os
import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from mediagen.errors import ConfigurationError
from mediagen.requests import Backend

GEMINI_KEY_VARIABLES = ("GOOGLE_API_KEY", "GEMINI_API_KEY")
VERTEX_VARIABLES = (
    "VERTEX_AI_API_KEY",
    "GOOGLE_ACCESS_TOKEN",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_CLOUD_PROJECT",
    "GCP_PROJECT",
)
CLIPROXY_VARIABLES = ("CLIPROXY_BASE_URL", "CLIPROXY_API_KEY")
TOOLSETS = ("core", "jobs")
SYSTEM_FOLDERS = ("/bin", "/dev", "/etc", "/proc", "/sbin", "/sys", "/usr", "/System", "/Applications", "/Library")
SYSTEM_FOLDER_WORDS = ("windows", "program files", "program files (x86)")

_UNEXPANDED = re.compile(r"\$\{[^}]*\}")


def _split(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(part.strip().lower() for part in value.split(",") if part.strip()) or TOOLSETS


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _upper(value: object) -> object:
    return value.strip().upper() if isinstance(value, str) else value


def _split_paths(value: object) -> object:
    return (
        tuple(Path(part).expanduser() for part in value.split(os.pathsep) if part) if isinstance(value, str) else value
    )


def _path(value: object) -> object:
    return Path(value).expanduser() if isinstance(value, str) else value


FolderPath = Annotated[Path, BeforeValidator(_path)]
Positive = Annotated[float, Field(gt=0, le=86_400)]
Cap = Annotated[Decimal, Field(ge=0)]


class Settings(BaseModel):
    """What the environment says, under the names of the public interface."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    gemini_api_key: SecretStr | None = Field(
        None, validation_alias=AliasChoices(*GEMINI_KEY_VARIABLES), description="Gemini API key; the first wins."
    )
    gemini_base_url: str | None = Field(
        None, validation_alias="GOOGLE_GEMINI_BASE_URL", description="Where the Gemini API lives."
    )
    gemini_api_version: Literal["v1", "v1beta", "beta"] = Field(
        "v1beta", validation_alias="GOOGLE_GENAI_API_VERSION", description="Version in the path of the Gemini API."
    )
    backend: Annotated[Backend, BeforeValidator(_lower)] = Field(
        "auto", validation_alias="MEDIAGEN_BACKEND", description="API surface to use."
    )
    output_dir: FolderPath | None = Field(
        None, validation_alias="MEDIAGEN_OUTPUT_DIR", description="Folder for the files."
    )
    state_dir: FolderPath | None = Field(
        None, validation_alias="MEDIAGEN_STATE_DIR", description="Folder of the job ledger."
    )
    database_url: SecretStr | None = Field(
        None, validation_alias="MEDIAGEN_DATABASE_URL", description="Not supported yet: the ledger is SQLite."
    )
    input_roots: Annotated[tuple[Path, ...], BeforeValidator(_split_paths)] | None = Field(
        None, validation_alias="MEDIAGEN_INPUT_ROOTS", description="Folders from which input files may be read."
    )
    project_dir: FolderPath | None = Field(
        None, validation_alias="CLAUDE_PROJECT_DIR", description="Project folder, as Claude Code gives it."
    )
    toolsets: Annotated[tuple[str, ...], BeforeValidator(_split)] = Field(
        TOOLSETS, validation_alias="MEDIAGEN_TOOLSETS", description="Groups of tools to offer: core, jobs."
    )
    max_usd_per_call: Cap | None = Field(
        None, validation_alias="MEDIAGEN_MAX_USD_PER_CALL", description="Most one job may cost."
    )
    max_usd_per_day: Cap | None = Field(
        None, validation_alias="MEDIAGEN_MAX_USD_PER_DAY", description="Most all jobs of a day (UTC) may cost."
    )
    max_usd_per_month: Cap | None = Field(
        None, validation_alias="MEDIAGEN_MAX_USD_PER_MONTH", description="Most all jobs of a month (UTC) may cost."
    )
    confirm_above_usd: Cap = Field(
        Decimal(5), validation_alias="MEDIAGEN_CONFIRM_ABOVE_USD", description="Above this, max_usd must be given."
    )
    poll_seconds: Positive = Field(
        10.0, validation_alias="MEDIAGEN_POLL_SECONDS", description="First poll interval; backs off to three times it."
    )
    wait_seconds: Annotated[float, Field(ge=0, le=3600)] = Field(
        45.0, validation_alias="MEDIAGEN_WAIT_SECONDS", description="How long a tool call waits before it hands back."
    )
    ffmpeg: str | None = Field(
        None, validation_alias="MEDIAGEN_FFMPEG", description="ffmpeg executable; else the PATH, else imageio-ffmpeg."
    )
    profile: str | None = Field(None, validation_alias="MEDIAGEN_PROFILE", description="Not supported yet.")
    config_file: str | None = Field(None, validation_alias="MEDIAGEN_CONFIG", description="Not supported yet.")
    http_token: SecretStr | None = Field(
        None, validation_alias="MEDIAGEN_HTTP_TOKEN", description="Not supported yet: HTTP is for this machine only."
    )
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_upper)] = Field(
        "WARNING", validation_alias="MEDIAGEN_LOG_LEVEL", description="Log level on stderr."
    )
    gemini_key_source: str = Field("", description="Variable that the Gemini key came from.", exclude=True)
    found_variables: frozenset[str] = Field(frozenset(), description="Credential variables that are set.", exclude=True)

    def folder_for_files(self) -> Path:
        """Where files go when the caller does not say."""
        if self.output_dir:
            return self.output_dir.resolve()
        for candidate in (self.project_dir, Path.cwd()):
            if candidate and is_ordinary_folder(candidate):
                return candidate.resolve()
        return Path.home() / "mediagen"

    def folder_for_state(self) -> Path:
        """Where the ledger lives."""
        if self.state_dir:
            return self.state_dir.resolve()
        import platformdirs

        return Path(platformdirs.user_state_dir("mediagen", appauthor=False))

    def roots_for_inputs(self) -> tuple[Path, ...]:
        """Folders from which input files may be read."""
        if self.input_roots is not None:
            return tuple(root.resolve() for root in self.input_roots)
        roots = [Path.cwd(), self.folder_for_files(), *([self.project_dir] if self.project_dir else [])]
        return tuple(dict.fromkeys(root.resolve() for root in roots if root.resolve() != Path(root.anchor)))


def is_ordinary_folder(folder: Path) -> bool:
    """Whether files may be put there unasked: writable, no file-system root, no system folder."""
    resolved = folder.resolve()
    if resolved == Path(resolved.anchor) or not resolved.is_dir() or not os.access(resolved, os.W_OK):
        return False
    if any(resolved.is_relative_to(system) for system in SYSTEM_FOLDERS):
        return False
    return len(resolved.parts) < 2 or resolved.parts[1].lower() not in SYSTEM_FOLDER_WORDS


def read_settings(environment: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """Read the settings; empty values and literal ``${VAR}`` count as unset.

    Raises:
        ConfigurationError: A variable has a value that cannot be used; names the variable.
    """
    found = {
        name: value
        for name, value in (os.environ if environment is None else environment).items()
        if value.strip() and not _UNEXPANDED.fullmatch(value.strip())
    }
    key_source = next((name for name in GEMINI_KEY_VARIABLES if name in found), "")
    credentials = {name for name in (*VERTEX_VARIABLES, *CLIPROXY_VARIABLES) if name in found}
    try:
        settings = Settings.model_validate(
            {**found, "gemini_key_source": key_source, "found_variables": frozenset(credentials)}
        )
    except ValidationError as error:
        raise _explained(error) from None
    return settings.model_copy(update=overrides) if overrides else settings


def _explained(error: ValidationError) -> ConfigurationError:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return ConfigurationError(
        f"The environment variable {first['loc'][0]} cannot be used: {first['msg'].removeprefix('Input ')}.",
        hint="Correct it or remove it.",
    )


def check_supported(settings: Settings) -> None:
    """Refuse what is set but not built yet, rather than ignore it.

    Raises:
        ConfigurationError: Names the variable.
    """
    if settings.database_url:
        raise ConfigurationError(
            "MEDIAGEN_DATABASE_URL is set, but this version keeps its ledger in SQLite only.",
            hint="Unset it; MEDIAGEN_STATE_DIR chooses the folder of the ledger.",
        )
    for variable, value in (("MEDIAGEN_PROFILE", settings.profile), ("MEDIAGEN_CONFIG", settings.config_file)):
        if value:
            raise ConfigurationError(
                f"{variable} is set, but this version has no profiles and no configuration file.",
                hint="Unset it and use the other variables.",
            )
    unknown = [name for name in settings.toolsets if name not in TOOLSETS]
    if unknown:
        raise ConfigurationError(
            f"MEDIAGEN_TOOLSETS names {unknown[0]!r}; allowed: {', '.join(TOOLSETS)}.", hint="Correct it or remove it."
        )
