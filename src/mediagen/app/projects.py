"""Chooses among the configured projects and gives their credentials."""

import dataclasses
from collections.abc import Mapping

from pydantic import SecretStr

from mediagen.app.holdings import Holdings, HoldingsBuilder, limits_of_environment, limits_of_profile
from mediagen.catalog import Surface
from mediagen.catalog.spec import SURFACE_NAMES
from mediagen.credentials import Credential
from mediagen.errors import AuthenticationError, ConfigurationError
from mediagen.generator.policy import Limits, Project
from mediagen.jobs import Origin
from mediagen.routing import NO_CREDENTIALS
from mediagen.settings import ProfileSettings, Settings

EMULATOR_CREDENTIALS: Mapping[Surface, Credential] = {
    "gemini": Credential(kind="api_key", source="emulator", secret=SecretStr("emulator")),
    "vertex": Credential(kind="access_token", source="emulator", secret=SecretStr("ya29.ready-emulator")),
}


class ConfiguredProjects:
    """Chooses among the profiles of the configuration file; without one, the environment alone counts."""

    def __init__(self, settings: Settings, environment: Mapping[str, str]) -> None:
        """Keep the settings.

        Args:
            settings: What was read.
            environment: Variables in which Application Default Credentials are looked for.
        """
        self._settings = settings
        self._environment = environment
        self._known: dict[tuple[str | None, str | None], Holdings] = {}

    def choose(
        self, name: str | None, *, source_profile: str | None = None, source_project: str | None = None
    ) -> Project:
        """The project to use; see `Projects`.

        Raises:
            ConfigurationError: No such profile, or several and none chosen.
        """
        settings = self._settings
        origin: Origin = "environment" if settings.profile and not name else "profile"
        profile = None if name else self._of_source(source_profile, source_project)
        if profile:
            origin = "source"
        else:
            try:
                profile = settings.choose_profile(name)
            except ConfigurationError as error:
                if error.code != "profile_needed" or not self._can_do_without(source_project):
                    raise
        return dataclasses.replace(self._holdings(profile, source_project).project, origin=origin)

    def all_limits(self) -> tuple[Limits, ...]:
        """Those of every profile, also of one that lacks its key; without one, those of the environment."""
        usual = limits_of_environment(self._settings)
        profiles = self._settings.profiles
        return tuple(dataclasses.replace(usual, profile=limits_of_profile(one)) for one in profiles) or (usual,)

    def _of_source(self, name: str | None, google_project: str | None) -> ProfileSettings | None:
        """The one of several profiles with which the source was made, if that is clear."""
        settings = self._settings
        if len(settings.profiles) < 2:
            return None
        fitting = settings.profiles_of_project(google_project) if google_project else ()
        named = tuple(profile for profile in fitting or settings.profiles if profile.name == name)
        candidates = named or fitting
        return candidates[0] if len(candidates) == 1 else None

    def _can_do_without(self, google_project: str | None) -> bool:
        """Whether the environment alone serves the project of a source, which no profile has."""
        if google_project is None or self._settings.profiles_of_project(google_project):
            return False
        project = self._holdings(None, google_project).project
        return bool(project.configured.offered) or project.backend != "auto"

    def credential(self, name: str | None, surface: Surface, google_project: str | None = None) -> Credential:
        """Credentials of a profile for a surface, in a Google Cloud project that may be in no profile.

        On Vertex AI, None as project stands for an express key.

        Raises:
            AuthenticationError: It has none.
            ConfigurationError: There is no such profile any more.
        """
        holdings = self._by_name(name, google_project)
        is_express = surface == "vertex" and google_project is None
        found = holdings.express if is_express else holdings.credentials.get(surface)
        if found is None:
            why = holdings.project.configured.missing.get(surface, f"{SURFACE_NAMES[surface]} is not configured.")
            raise AuthenticationError(why, hint=NO_CREDENTIALS, code="no_credentials")
        return found

    def storage(self, name: str | None) -> Holdings:
        """What a profile has for Cloud Storage.

        Raises:
            ConfigurationError: There is no such profile any more.
        """
        return self._by_name(name)

    def others(self, name: str | None, surface: str) -> str:
        """The other configured surfaces in words."""
        return self._by_name(name).project.configured.others(surface)

    def _by_name(self, name: str | None, google_project: str | None = None) -> Holdings:
        profile = None if name is None else self._settings.choose_profile(name)
        return self._holdings(profile, google_project)

    def _holdings(self, profile: ProfileSettings | None, source_project: str | None) -> Holdings:
        key = (profile.name if profile else None, source_project)
        if key not in self._known:
            if profile:
                profile.check_usable()
            self._known[key] = HoldingsBuilder(self._settings, profile, self._environment, source_project).build()
        return self._known[key]
