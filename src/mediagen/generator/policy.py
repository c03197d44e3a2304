"""What the operator decided, as values; the generator knows no environment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from mediagen.errors import InvalidRequestError
from mediagen.jobs import Kind, Origin
from mediagen.presets import BuiltInPreset, built_in_presets
from mediagen.requests import Backend
from mediagen.routing import Configured


@dataclass(frozen=True, kw_only=True, slots=True)
class ProfileLimits:
    """Spending limits of one profile, for its own jobs; None is no limit."""

    name: str
    per_call_usd: Decimal | None = None
    per_day_usd: Decimal | None = None
    per_month_usd: Decimal | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Spending limits in US dollars; None is no limit. Those of the environment count the jobs of all profiles.

    Attributes:
        profile: What the profile sets itself; both hold at once.
        confirm_above_usd: A dearer job needs `max_usd` as approval.
        no_spend: What forbids every paid call, in words; empty when they are allowed.
    """

    per_call_usd: Decimal | None = None
    per_day_usd: Decimal | None = None
    per_month_usd: Decimal | None = None
    profile: ProfileLimits | None = None
    confirm_above_usd: Decimal = Decimal(5)
    no_spend: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Preset:
    """Named values for the arguments of a paid call.

    Attributes:
        kind: What it is for; None is both.
    """

    values: Mapping[str, Any]
    kind: Kind | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Bucket:
    """Cloud Storage of a project.

    Attributes:
        prefix: gs:// address under which results go unasked; None when no bucket was named.
        usual_prefix: gs:// address of the bucket that a project has by convention; None without a project.
        has_credentials: Whether there are credentials that Cloud Storage takes.
    """

    prefix: str | None = None
    origin: Origin = "default"
    usual_prefix: str | None = None
    has_credentials: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Project:
    """What one configured project decides; without a configuration file, the environment alone.

    Attributes:
        name: Its name as `profile`; None for the environment alone.
        backend: Surface to use when the caller names none.
        image: Defaults of pictures by argument.
        video: Defaults of clips by argument.
        folder: Where files go when the caller does not say.
        google_project_origin: Where the Google Cloud project comes from, if there is one.
        warnings: What is wrong with its configuration.
    """

    name: str | None
    origin: Origin
    backend: Backend
    backend_origin: Origin
    configured: Configured
    folder: Path
    folder_origin: Origin
    limits: Limits = field(default_factory=Limits)
    bucket: Bucket = field(default_factory=Bucket)
    image: Mapping[str, Any] = field(default_factory=dict)
    video: Mapping[str, Any] = field(default_factory=dict)
    presets: Mapping[str, Preset] = field(default_factory=dict)
    google_project_origin: Origin = "default"
    warnings: tuple[str, ...] = ()

    def defaults(self, kind: Kind) -> Mapping[str, Any]:
        """Defaults of one kind of job."""
        return self.image if kind == "image" else self.video

    def preset(self, name: str | None, kind: Kind) -> Mapping[str, Any]:
        """Values of a preset of the configuration file; none for one that comes along with the package.

        Raises:
            InvalidRequestError: There is none of that name for this kind.
        """
        if name is None or self.built_in_preset(name, kind):
            return {}
        own = self._own_presets(kind)
        if name not in own:
            known = ", ".join(sorted({*own, *built_in_presets(kind)}))
            raise InvalidRequestError(
                f"preset={name!r} is not known for {kind}s; allowed: {known}.",
                field="preset",
                hint="Define it as [presets.NAME] in mediagen.toml, or give the values themselves.",
                code="unknown_preset",
            )
        return self.presets[name].values

    def built_in_preset(self, name: str | None, kind: Kind) -> BuiltInPreset | None:
        """A preset that comes along with the package, unless the configuration file has one of the same name."""
        return None if name is None or name in self._own_presets(kind) else built_in_presets(kind).get(name)

    def _own_presets(self, kind: Kind) -> tuple[str, ...]:
        return tuple(name for name, preset in self.presets.items() if preset.kind in {None, kind})


class Projects(Protocol):
    """Chooses among the configured projects."""

    def choose(
        self, name: str | None, *, source_profile: str | None = None, source_project: str | None = None
    ) -> Project:
        """The project to use: what the caller says, what the source was made with, what the operator chose.

        Args:
            name: What the caller says.
            source_profile: Name of the project that the source was made with; it may be gone.
            source_project: Google Cloud project of the source; it may be in no profile.

        Raises:
            ConfigurationError: No such profile, or several and none chosen.
        """
        ...

    def all_limits(self) -> tuple[Limits, ...]:
        """Those of every profile; without one, those of the environment."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """Choices that hold for all calls.

    Attributes:
        state_folder: Where the ledger is.
        wait_seconds: How long a call waits before it hands back a running job.
        ffmpeg: Executable, or None to look for one.
    """

    projects: Projects
    state_folder: Path
    wait_seconds: float
    ffmpeg: str | None
