"""Which profile holds. Pure."""

import difflib
from pathlib import Path
from typing import Protocol

from mediagen.errors import ConfigurationError
from mediagen.settings.profiles import ProfileSettings, names_in_words

HOW_TO_CHOOSE = "Name one with the argument profile (--profile), with MEDIAGEN_PROFILE, or as `profile` in the file."


class _Profiles(Protocol):
    @property
    def profile(self) -> str | None: ...
    @property
    def profiles(self) -> tuple[ProfileSettings, ...]: ...
    @property
    def default_profile(self) -> str | None: ...
    @property
    def config_path(self) -> Path | None: ...


def choose_profile(settings: _Profiles, name: str | None) -> ProfileSettings | None:
    """The profile named, else that of MEDIAGEN_PROFILE, else the default of the file, else the only one.

    Raises:
        ConfigurationError: No such profile, or several and no choice.
    """
    wanted = name or settings.profile or settings.default_profile
    if wanted:
        found = next((profile for profile in settings.profiles if profile.name == wanted), None)
        return found or _refuse(settings, wanted, "" if name else " (MEDIAGEN_PROFILE)")
    if len(settings.profiles) > 1:
        raise ConfigurationError(
            f"{settings.config_path} has several profiles and none is chosen: {_names(settings)}.",
            hint=HOW_TO_CHOOSE,
            code="profile_needed",
        )
    return settings.profiles[0] if settings.profiles else None


def _refuse(settings: _Profiles, wanted: str, origin: str) -> ProfileSettings:
    if settings.config_path is None:
        raise ConfigurationError(
            f"There is no profile {wanted!r}{origin}, as no configuration file was found.",
            hint="`mediagen config setup` makes one; `mediagen config path` shows where it is looked for.",
            code="profile_unknown",
        )
    close = difflib.get_close_matches(wanted, [profile.name for profile in settings.profiles], n=1)
    meant = f" Did you mean {close[0]!r}?" if close else ""
    known = _names(settings) or "none"
    raise ConfigurationError(
        f"There is no profile {wanted!r}{origin} in {settings.config_path}; it has: {known}.{meant}",
        hint=HOW_TO_CHOOSE,
        code="profile_unknown",
    )


def _names(settings: _Profiles) -> str:
    return names_in_words(profile.name for profile in settings.profiles)
