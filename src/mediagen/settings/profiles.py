"""Profiles as values: what one configured project says. No I/O."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from pydantic import SecretStr

from mediagen.errors import ConfigurationError
from mediagen.surfaces import Backend

Kind = Literal["image", "video"]
IMAGE_ARGUMENTS = (
    "model",
    "aspect_ratio",
    "image_size",
    "count",
    "thinking_level",
    "person_generation",
    "search_grounding",
    "negative_prompt",
)
VIDEO_ARGUMENTS = (
    "model",
    "duration_seconds",
    "aspect_ratio",
    "resolution",
    "generate_audio",
    "count",
    "negative_prompt",
    "person_generation",
    "resize_mode",
    "compression_quality",
)


def _nothing() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, kw_only=True, slots=True)
class Preset:
    """A named set of arguments.

    Attributes:
        kind: What it is for; None when it serves both.
        values: Arguments of `generate_image` or `generate_video`.
    """

    kind: Kind | None = None
    values: Mapping[str, Any] = field(default_factory=_nothing)


@dataclass(frozen=True, kw_only=True, slots=True)
class ProfileSettings:
    """One profile of the configuration file; absent values are None.

    Attributes:
        file: File it stands in.
        gemini_key_source: Where the key came from, for messages; empty without a key. The others alike.
        path: Prefix of the objects in the bucket, without slashes at its ends.
        image: Arguments of `generate_image` that hold when the caller gives none; those of the whole file included.
        video: The same for `generate_video` and `extend_video`.
        problem: Why it cannot be used, or None.
        shared: Which of `image`, `video` and `presets` come from the tables of the whole file, as dotted names.
    """

    name: str
    file: Path
    backend: Backend | None = None
    project: str | None = None
    location: str | None = None
    quota_project: str | None = None
    gemini_api_key: SecretStr | None = None
    gemini_key_source: str = ""
    vertex_api_key: SecretStr | None = None
    vertex_key_source: str = ""
    access_token: SecretStr | None = None
    access_token_source: str = ""
    credentials_file: Path | None = None
    use_metadata_server: bool = False
    bucket: str | None = None
    path: str | None = None
    output_dir: Path | None = None
    max_usd_per_call: Decimal | None = None
    max_usd_per_day: Decimal | None = None
    max_usd_per_month: Decimal | None = None
    confirm_above_usd: Decimal | None = None
    no_spend: bool = False
    image: Mapping[str, Any] = field(default_factory=_nothing)
    video: Mapping[str, Any] = field(default_factory=_nothing)
    presets: Mapping[str, Preset] = field(default_factory=_nothing)
    problem: str | None = None
    shared: frozenset[str] = frozenset()

    def check_usable(self) -> None:
        """Refuse a profile that lacks what it names.

        Raises:
            ConfigurationError: It names a variable that is not set (code ``profile_incomplete``).
        """
        if self.problem:
            raise ConfigurationError(
                self.problem, hint="Set the variable, or change the profile.", code="profile_incomplete"
            )


def names_in_words(names: Iterable[str]) -> str:
    """Names for a message."""
    return ", ".join(repr(name) for name in names)
