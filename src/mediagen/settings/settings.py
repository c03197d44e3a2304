"""Settings of one process: read once from the environment and the configuration file, passed down as values."""

import os
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from mediagen.errors import ConfigurationError
from mediagen.settings.choice import choose_profile
from mediagen.settings.config_file import load_config, user_config_dir
from mediagen.settings.profiles import ProfileSettings
from mediagen.settings.values import (
    Address,
    BucketName,
    Cap,
    ExactAddress,
    HostAddress,
    Key,
    Location,
    OsPath,
    Positive,
    ProjectId,
    Words,
    checked_words,
    is_unset,
    lower,
    split_paths,
    upper,
)
from mediagen.surfaces import Backend

GEMINI_KEY_VARIABLES = ("GOOGLE_API_KEY", "GEMINI_API_KEY")
CLIPROXY_BASE_URL = "http://127.0.0.1:8317"
# What CLIProxyAPI is installed with: it says who calls, and is no secret.
CLIPROXY_API_KEY = SecretStr("ccs-internal-managed")
TOOLSETS = ("core", "jobs", "edit")
USUAL_TOOLSETS = ("core", "jobs")
DATABASE_SCHEMES = ("postgresql://", "postgres://")
SYSTEM_FOLDERS = ("/bin", "/dev", "/etc", "/proc", "/sbin", "/sys", "/usr", "/System", "/Applications", "/Library")
SYSTEM_FOLDER_WORDS = ("windows", "program files", "program files (x86)")


def _split(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(part.strip().lower() for part in value.split(",") if part.strip()) or USUAL_TOOLSETS


class Settings(BaseModel):
    """What the environment and the configuration file say, under the names of the public interface."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    gemini_api_key: Key | None = Field(
        None, validation_alias=AliasChoices(*GEMINI_KEY_VARIABLES), description="Gemini API key; the first wins."
    )
    gemini_base_url: Address | None = Field(
        None, validation_alias="GOOGLE_GEMINI_BASE_URL", description="Where the Gemini API lives."
    )
    gemini_api_version: Literal["v1", "v1beta", "beta"] = Field(
        "v1beta", validation_alias="GOOGLE_GENAI_API_VERSION", description="Version in the path of the Gemini API."
    )
    vertex_api_key: Key | None = Field(None, validation_alias="VERTEX_AI_API_KEY", description="Vertex express key.")
    access_token: Key | None = Field(
        None, validation_alias="GOOGLE_ACCESS_TOKEN", description="A ready OAuth bearer token for Vertex AI."
    )
    credentials_file: OsPath | None = Field(
        None,
        validation_alias="GOOGLE_APPLICATION_CREDENTIALS",
        description="JSON file of a service account or of user credentials; else those of gcloud.",
    )
    project: ProjectId | None = Field(
        None,
        validation_alias=AliasChoices("GOOGLE_CLOUD_PROJECT", "GCP_PROJECT"),
        description="Google Cloud project for Vertex AI.",
    )
    location: Location | None = Field(
        None,
        validation_alias=AliasChoices("GOOGLE_CLOUD_LOCATION", "GCP_LOCATION"),
        description="Vertex location, such as us-central1, us or global.",
    )
    quota_project: ProjectId | None = Field(
        None, validation_alias="GOOGLE_CLOUD_QUOTA_PROJECT", description="Project whose quota is used."
    )
    bucket: BucketName | None = Field(
        None,
        validation_alias=AliasChoices("GCS_BUCKET", "GOOGLE_CLOUD_BUCKET"),
        description="Default bucket; otherwise {project}-media-output.",
    )
    vertex_base_url: Address | None = Field(
        None, validation_alias="GOOGLE_VERTEX_BASE_URL", description="Where Vertex AI lives."
    )
    storage_emulator_host: HostAddress | None = Field(
        None, validation_alias="STORAGE_EMULATOR_HOST", description="Where Cloud Storage lives; without credentials."
    )
    cliproxy_base_url: Address = Field(
        CLIPROXY_BASE_URL, validation_alias="CLIPROXY_BASE_URL", description="Where a local CLIProxyAPI listens."
    )
    cliproxy_api_key: Key = Field(
        CLIPROXY_API_KEY, validation_alias="CLIPROXY_API_KEY", description="Key for the CLIProxyAPI."
    )
    backend: Annotated[Backend, BeforeValidator(lower)] = Field(
        "auto", validation_alias="MEDIAGEN_BACKEND", description="API surface to use."
    )
    output_dir: OsPath | None = Field(None, validation_alias="MEDIAGEN_OUTPUT_DIR", description="Folder for the files.")
    state_dir: OsPath | None = Field(
        None, validation_alias="MEDIAGEN_STATE_DIR", description="Folder of the job ledger."
    )
    database_url: SecretStr | None = Field(
        None,
        validation_alias="MEDIAGEN_DATABASE_URL",
        description="PostgreSQL that several machines share as job ledger, postgresql://user:password@host/database; "
        "needs the extra postgres, and one MEDIAGEN_STATE_DIR for all of them.",
    )
    input_roots: Annotated[tuple[Path, ...], BeforeValidator(split_paths)] | None = Field(
        None, validation_alias="MEDIAGEN_INPUT_ROOTS", description="Folders from which input files may be read."
    )
    project_dir: OsPath | None = Field(
        None, validation_alias="CLAUDE_PROJECT_DIR", description="Project folder, as Claude Code gives it."
    )
    toolsets: Annotated[tuple[str, ...], BeforeValidator(_split)] = Field(
        USUAL_TOOLSETS,
        validation_alias="MEDIAGEN_TOOLSETS",
        description="Groups of tools to offer: core, jobs, edit (trim, join, convert and so on, free).",
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
    no_spend: bool = Field(
        False,
        validation_alias="MEDIAGEN_NO_SPEND",
        description="1 refuses every call that would cost money, before anything is sent; the emulator goes on.",
    )
    poll_seconds: Positive = Field(
        10.0,
        validation_alias="MEDIAGEN_POLL_SECONDS",
        description="Usual interval between polls; 0.6 to 3 times of it, by when a job should be done.",
    )
    wait_seconds: Annotated[float, Field(ge=0, le=3600)] = Field(
        45.0, validation_alias="MEDIAGEN_WAIT_SECONDS", description="How long a tool call waits before it hands back."
    )
    ffmpeg: str | None = Field(
        None, validation_alias="MEDIAGEN_FFMPEG", description="ffmpeg executable; else the PATH, else imageio-ffmpeg."
    )
    profile: str | None = Field(
        None, validation_alias="MEDIAGEN_PROFILE", description="Profile of the configuration file to use."
    )
    config_file: str | None = Field(
        None,
        validation_alias="MEDIAGEN_CONFIG",
        description="Configuration file; else mediagen.toml or config.json in the working folder, "
        "else mediagen.toml in the user configuration folder.",
    )
    http_token: Key | None = Field(
        None, validation_alias="MEDIAGEN_HTTP_TOKEN", description="Bearer token that callers over HTTP have to send."
    )
    http_issuer: ExactAddress | None = Field(
        None,
        validation_alias="MEDIAGEN_HTTP_ISSUER",
        description="OAuth issuer whose access tokens are accepted over HTTP; needs MEDIAGEN_HTTP_PUBLIC_URL.",
    )
    http_jwks_url: Address | None = Field(
        None,
        validation_alias="MEDIAGEN_HTTP_JWKS_URL",
        description="Where the keys of the issuer are; else as its metadata says.",
    )
    http_scopes: Words = Field(
        (), validation_alias="MEDIAGEN_HTTP_SCOPES", description="Scopes that an access token must have, all of them."
    )
    http_public_url: Address | None = Field(
        None,
        validation_alias="MEDIAGEN_HTTP_PUBLIC_URL",
        description="Address of the HTTP server as its callers know it: audience of access tokens, begin of links.",
    )
    http_allowed_hosts: Words = Field(
        (),
        validation_alias="MEDIAGEN_HTTP_ALLOWED_HOSTS",
        description="Host names under which callers reach the HTTP server, besides this machine's own.",
    )
    http_allowed_origins: Words = Field(
        (),
        validation_alias="MEDIAGEN_HTTP_ALLOWED_ORIGINS",
        description="Web origins whose pages may call the HTTP server, such as https://app.example.com.",
    )
    http_calls_per_minute: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        240, validation_alias="MEDIAGEN_HTTP_CALLS_PER_MINUTE", description="Most requests of one principal a minute."
    )
    http_calls_at_once: Annotated[int, Field(ge=1, le=10_000)] = Field(
        32, validation_alias="MEDIAGEN_HTTP_CALLS_AT_ONCE", description="Most requests of one principal at once."
    )
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(upper)] = Field(
        "WARNING", validation_alias="MEDIAGEN_LOG_LEVEL", description="Log level on stderr."
    )
    sources: Mapping[str, str] = Field(
        default_factory=dict, description="Variable that each value came from, by field.", exclude=True
    )
    profiles: tuple[ProfileSettings, ...] = Field((), description="Profiles of the configuration file.", exclude=True)
    config_path: Path | None = Field(None, description="Configuration file in use.", exclude=True)
    default_profile: str | None = Field(None, description="Profile that the file names as default.", exclude=True)
    warnings: tuple[str, ...] = Field((), description="What whoever runs this should know.", exclude=True)

    @property
    def is_own_config(self) -> bool:
        """Whether the operator chose the configuration file; one in a folder may have come with somebody's project."""
        if self.config_path is None or self.config_file:
            return True
        return self.config_path.parent == user_config_dir()

    def source_of(self, field: str) -> str:
        """The variable that a value came from; empty when it is the default."""
        if field not in type(self).model_fields:
            raise KeyError(field)
        return self.sources.get(field, "")

    def choose_profile(self, name: str | None = None) -> ProfileSettings | None:
        """The profile that holds: the one named, else that of MEDIAGEN_PROFILE, else the default, else the only one.

        None when the file has none, or there is no file.

        Raises:
            ConfigurationError: No profile of that name (code ``profile_unknown``), or several and no choice
                (``profile_needed``); lists them and says how to choose.
        """
        return choose_profile(self, name)

    def profiles_of_project(self, project: str) -> tuple[ProfileSettings, ...]:
        """Profiles of a Google Cloud project, for a job whose source names one."""
        return tuple(profile for profile in self.profiles if profile.project == project)

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

        return Path(platformdirs.user_state_dir("mediagen", appauthor=False)).resolve()

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


def variables_of(field: str) -> tuple[str, ...]:
    """Environment variables of a setting, the winning one first; none for what is derived."""
    alias = Settings.model_fields[field].validation_alias
    if isinstance(alias, AliasChoices):
        return tuple(str(choice) for choice in alias.choices)
    return (alias,) if isinstance(alias, str) else ()


def usable_variables(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment without what counts as unset: empty values and literal ``${VAR}``."""
    given = os.environ if environment is None else environment
    return {name: value.strip() for name, value in given.items() if not is_unset(value)}


def read_settings(environment: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """Read the settings; empty values and literal ``${VAR}`` count as unset.

    Raises:
        ConfigurationError: A variable or the configuration file has a value that cannot be used; names it.
    """
    found = usable_variables(environment)
    settings = _from_environment(found)
    config = load_config(found)
    if config:
        changes = {
            "profiles": config.profiles,
            "config_path": config.path,
            "default_profile": config.default_profile,
            "warnings": config.warnings,
        }
        overrides = {**changes, **overrides}
    return settings.model_copy(update=overrides) if overrides else settings


def _from_environment(found: Mapping[str, str]) -> Settings:
    winners = {
        field: next((name for name in variables_of(field) if name in found), "") for field in Settings.model_fields
    }
    sources = {field: variable for field, variable in winners.items() if variable}
    # Only our own variables: one called `profiles` is another program's.
    given = {variable: found[variable] for variable in sources.values()}
    try:
        return Settings.model_validate({**given, "sources": sources})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise ConfigurationError(
            f"The environment variable {first['loc'][0]} cannot be used: {checked_words(first['msg'])}.",
            hint="Correct it or remove it.",
        ) from None


def check_supported(settings: Settings) -> None:
    """Refuse what is set but not built yet, rather than ignore it.

    Raises:
        ConfigurationError: Names the variable.
    """
    if settings.database_url and not settings.database_url.get_secret_value().startswith(DATABASE_SCHEMES):
        raise ConfigurationError(
            f"MEDIAGEN_DATABASE_URL must begin with {' or '.join(DATABASE_SCHEMES)}.",
            hint="Correct it, or unset it to keep the ledger in a file of MEDIAGEN_STATE_DIR.",
        )
    if settings.profile:
        settings.choose_profile(None)
    unknown = [name for name in settings.toolsets if name not in TOOLSETS]
    if unknown:
        raise ConfigurationError(
            f"MEDIAGEN_TOOLSETS names {unknown[0]!r}; allowed: {', '.join(TOOLSETS)}.", hint="Correct it or remove it."
        )
