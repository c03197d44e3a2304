"""One profile, with the environment behind it → what it decides and the credentials it has."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from mediagen.catalog import Surface
from mediagen.credentials import Credential, find_adc
from mediagen.errors import AuthenticationError
from mediagen.generator.policy import Bucket, Limits, Preset, ProfileLimits, Project
from mediagen.jobs import Origin
from mediagen.requests import Backend
from mediagen.routing import Access, Configured
from mediagen.settings import ProfileSettings, Settings
from mediagen.storage.gs_uri import default_bucket

CLIPROXY_VARIABLES = ("CLIPROXY_BASE_URL", "CLIPROXY_API_KEY")


@dataclass(frozen=True, kw_only=True, slots=True)
class Holdings:
    """Everything that one profile, with the environment behind it, has to offer.

    Attributes:
        credentials: By surface; only what is usable.
        express: Key for the addresses of Vertex AI that name no project, or None.
        storage: For Cloud Storage, or None.
    """

    project: Project
    credentials: Mapping[Surface, Credential]
    express: Credential | None
    storage: Credential | None
    google_project: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Found:
    """A credential, and whether the profile itself brings it."""

    credential: Credential
    of_profile: bool


class HoldingsBuilder:
    """Puts the holdings of one profile together; `build` is called once."""

    def __init__(
        self,
        settings: Settings,
        profile: ProfileSettings | None,
        environment: Mapping[str, str],
        source_project: str | None,
    ) -> None:
        self._settings = settings
        self._profile = profile
        self._environment = environment
        self._oauth = self._find_oauth()
        self._google_project, self._google_project_origin = self._find_google_project(source_project)
        self._missing: dict[Surface, str] = {}
        self._incomplete: dict[Surface, str] = {}

    def build(self) -> Holdings:
        """All of it; who chose the profile is not known here."""
        settings, profile = self._settings, self._profile
        offers: dict[Surface, _Found | None] = {
            "gemini": self._gemini(),
            "vertex": self._vertex(),
            "cliproxy": self._cliproxy(),
        }
        found = {surface: offer for surface, offer in offers.items() if offer}
        backend, backend_origin = self._backend()
        folder_origin: Origin = "environment" if settings.output_dir else "default"
        if profile and profile.output_dir:
            folder_origin = "profile"
        project = Project(
            name=profile.name if profile else None,
            origin="profile",
            backend=backend,
            backend_origin=backend_origin,
            configured=self._configured(found),
            folder=_folder(profile.output_dir) if profile and profile.output_dir else settings.folder_for_files(),
            folder_origin=folder_origin,
            limits=self._limits(),
            bucket=self._bucket(),
            image=profile.image if profile else {},
            video=profile.video if profile else {},
            presets={
                name: Preset(values=preset.values, kind=preset.kind)
                for name, preset in (profile.presets if profile else {}).items()
            },
            google_project_origin=self._google_project_origin,
            warnings=settings.warnings,
        )
        return Holdings(
            project=project,
            credentials={surface: item.credential for surface, item in found.items()},
            express=express.credential if (express := self._express()) else None,
            storage=self._oauth.credential if self._oauth else None,
            google_project=self._google_project,
        )

    def _backend(self) -> tuple[Backend, Origin]:
        if self._profile and self._profile.backend:
            return self._profile.backend, "profile"
        return self._settings.backend, "default" if self._settings.backend == "auto" else "environment"

    def _configured(self, found: Mapping[Surface, _Found]) -> Configured:
        settings, profile = self._settings, self._profile
        # What the profile brings along comes before what happens to be in the environment.
        ordered = sorted(found, key=lambda surface: not found[surface].of_profile)
        location_origin: Origin = "profile" if profile and profile.location else "environment"
        return Configured(
            accesses=tuple(self._access(surface, found[surface].credential) for surface in ordered),
            missing=self._missing,
            incomplete=self._incomplete,
            location=(profile.location if profile else None) or settings.location,
            location_origin=location_origin,
            emulator_host=settings.gemini_base_url,
        )

    def _access(self, surface: Surface, credential: Credential) -> Access:
        settings = self._settings
        is_express = credential.kind == "express_key"
        hosts = {
            "gemini": settings.gemini_base_url,
            "vertex": settings.vertex_base_url,
            "cliproxy": settings.cliproxy_base_url,
        }
        return Access(
            surface=surface,
            source=credential.source,
            host=hosts[surface],
            project=self._google_project if surface == "vertex" and not is_express else None,
            is_express=is_express,
            only_when_asked=surface == "cliproxy" and not self._asks_for_cliproxy(),
        )

    def _asks_for_cliproxy(self) -> bool:
        return any(settings_source in CLIPROXY_VARIABLES for settings_source in self._proxy_sources())

    def _proxy_sources(self) -> tuple[str, ...]:
        return self._settings.source_of("cliproxy_base_url"), self._settings.source_of("cliproxy_api_key")

    def _gemini(self) -> _Found | None:
        settings, profile = self._settings, self._profile
        if profile and profile.gemini_api_key:
            credential = Credential(kind="api_key", source=profile.gemini_key_source, secret=profile.gemini_api_key)
            return _Found(credential=credential, of_profile=True)
        if settings.gemini_api_key:
            source = settings.source_of("gemini_api_key")
            return _Found(
                credential=Credential(kind="api_key", source=source, secret=settings.gemini_api_key), of_profile=False
            )
        self._missing["gemini"] = "No Gemini API key is set (looked at GOOGLE_API_KEY and GEMINI_API_KEY)."
        return None

    def _vertex(self) -> _Found | None:
        if self._oauth and self._google_project:
            of_profile = self._oauth.of_profile or bool(self._profile and self._profile.project)
            return _Found(credential=self._oauth.credential, of_profile=of_profile)
        if express := self._express():
            return express
        if self._oauth:
            self._missing["vertex"] = self._incomplete["vertex"] = _file_trouble(self._oauth.credential) or (
                f"Vertex AI has credentials ({self._oauth.credential.source}) but no project "
                "(looked at GOOGLE_CLOUD_PROJECT, GCP_PROJECT and the credentials file)."
            )
        else:
            self._missing["vertex"] = (
                "No credentials for Vertex AI are set (looked at GOOGLE_ACCESS_TOKEN, GOOGLE_APPLICATION_CREDENTIALS, "
                "the credentials of gcloud, and VERTEX_AI_API_KEY)."
            )
        return None

    def _express(self) -> _Found | None:
        settings, profile = self._settings, self._profile
        if profile and profile.vertex_api_key:
            credential = Credential(kind="express_key", source=profile.vertex_key_source, secret=profile.vertex_api_key)
            return _Found(credential=credential, of_profile=True)
        if settings.vertex_api_key:
            source = settings.source_of("vertex_api_key")
            return _Found(
                credential=Credential(kind="express_key", source=source, secret=settings.vertex_api_key),
                of_profile=False,
            )
        return None

    def _cliproxy(self) -> _Found:
        source = self._settings.source_of("cliproxy_api_key") or "the default key of CLIProxyAPI"
        credential = Credential(kind="proxy_key", source=source, secret=self._settings.cliproxy_api_key)
        return _Found(credential=credential, of_profile=False)

    def _find_oauth(self) -> _Found | None:
        """OAuth credentials: of the profile, a ready token, or Application Default Credentials."""
        settings, profile = self._settings, self._profile
        quota = (profile.quota_project if profile else None) or settings.quota_project
        if profile and profile.access_token:
            return _Found(
                credential=Credential(
                    kind="access_token",
                    source=profile.access_token_source,
                    secret=profile.access_token,
                    quota_project=quota,
                ),
                of_profile=True,
            )
        if profile and profile.credentials_file:
            source = f"profile {profile.name} in {profile.file}"
            return _Found(
                credential=Credential(
                    kind="adc", source=source, file=_folder(profile.credentials_file), quota_project=quota
                ),
                of_profile=True,
            )
        if settings.access_token:
            source = settings.source_of("access_token")
            return _Found(
                credential=Credential(
                    kind="access_token", source=source, secret=settings.access_token, quota_project=quota
                ),
                of_profile=False,
            )
        wants_metadata = bool(profile and profile.use_metadata_server)
        found = find_adc(self._for_adc(quota), use_metadata_server=wants_metadata)
        return _Found(credential=found, of_profile=wants_metadata) if found else None

    def _for_adc(self, quota_project: str | None) -> dict[str, str]:
        """The environment, with what the settings made of its variables."""
        settled = {
            "GOOGLE_APPLICATION_CREDENTIALS": self._settings.credentials_file,
            "GOOGLE_CLOUD_QUOTA_PROJECT": quota_project,
        }
        others = {name: value for name, value in self._environment.items() if name not in settled}
        return others | {name: str(value) for name, value in settled.items() if value is not None}

    def _find_google_project(self, source_project: str | None) -> tuple[str | None, Origin]:
        """Google Cloud project and where it comes from; the only profile holds whatever the source says."""
        of_credentials: Origin = "profile" if self._oauth and self._oauth.of_profile else "environment"
        candidates: tuple[tuple[Origin, str | None], ...] = (
            ("profile", self._profile.project if self._profile else None),
            ("source", source_project),
            ("environment", self._settings.project),
            (of_credentials, _project_of_file(self._oauth.credential) if self._oauth else None),
        )
        return next(((named, origin) for origin, named in candidates if named), (None, "default"))

    def _bucket(self) -> Bucket:
        profile, settings = self._profile, self._settings
        usual = f"gs://{default_bucket(self._google_project)}/" if self._google_project else None
        has_credentials = self._oauth is not None or settings.storage_emulator_host is not None
        if profile and profile.bucket:
            path = f"{profile.path}/" if profile.path else ""
            prefix = f"gs://{profile.bucket}/{path}"
            return Bucket(prefix=prefix, origin="profile", usual_prefix=usual, has_credentials=has_credentials)
        return Bucket(
            prefix=f"gs://{settings.bucket}/" if settings.bucket else None,
            origin="environment",
            usual_prefix=usual,
            has_credentials=has_credentials,
        )

    def _limits(self) -> Limits:
        profile = self._profile
        return dataclasses.replace(
            limits_of_environment(self._settings),
            profile=limits_of_profile(profile) if profile else None,
            confirm_above_usd=self._confirm_above_usd(),
            no_spend=self._no_spend(),
        )

    def _no_spend(self) -> str:
        """What forbids every paid call, for the message; a profile cannot allow what the environment forbids."""
        if self._settings.no_spend:
            return "MEDIAGEN_NO_SPEND is set"
        if self._profile and self._profile.no_spend:
            return f"no_spend is set in the profile {self._profile.name!r} of {self._profile.file}"
        return ""

    def _confirm_above_usd(self) -> Decimal:
        """Where approval is needed; a file that was merely found in a folder may only ask for it earlier."""
        of_profile, usual = (
            (self._profile.confirm_above_usd if self._profile else None),
            self._settings.confirm_above_usd,
        )
        if of_profile is None:
            return usual
        is_bound = self._settings.source_of("confirm_above_usd") or not self._settings.is_own_config
        return min(of_profile, usual) if is_bound else of_profile


def limits_of_environment(settings: Settings) -> Limits:
    """Caps that hold for the jobs of all profiles together."""
    return Limits(
        per_call_usd=settings.max_usd_per_call,
        per_day_usd=settings.max_usd_per_day,
        per_month_usd=settings.max_usd_per_month,
    )


def limits_of_profile(profile: ProfileSettings) -> ProfileLimits:
    """Caps that hold for the jobs of one profile: those of the environment hold beside them, so none is lifted."""
    return ProfileLimits(
        name=profile.name,
        per_call_usd=profile.max_usd_per_call,
        per_day_usd=profile.max_usd_per_day,
        per_month_usd=profile.max_usd_per_month,
    )


def _folder(path: Path) -> Path:
    return path.expanduser().resolve()


def _file_trouble(credential: Credential) -> str:
    """Why a credentials file cannot be used; empty when it can be."""
    if credential.file is None:
        return ""
    from mediagen.credentials.files import read_credentials_file

    try:
        read_credentials_file(credential)
    except AuthenticationError as error:
        return str(error)
    return ""


def _project_of_file(credential: Credential) -> str | None:
    """Project of a service account; a file that cannot be read is told when it is used."""
    if credential.file is None:
        return None
    from mediagen.credentials.files import read_credentials_file

    try:
        return read_credentials_file(credential).identity.project
    except AuthenticationError:
        return None
