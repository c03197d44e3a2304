"""Which API surface serves a request, with whose credentials and at which address. Pure."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from mediagen.catalog import Surface
from mediagen.catalog.spec import SURFACE_NAMES
from mediagen.errors import AuthenticationError, ConfigurationError
from mediagen.jobs import Origin
from mediagen.surfaces import LOCATION, PROJECT, Backend

GEMINI_HOST = "https://generativelanguage.googleapis.com"
GLOBAL_VERTEX_HOST = "https://aiplatform.googleapis.com"
VERTEX_VERSION = "v1beta1"
MULTI_REGIONS = frozenset({"us", "eu"})
EMULATOR_PROJECT = "emulator"
# Both become part of an address to which credentials are sent, and may come from a record beside somebody's clip.

NO_CREDENTIALS = (
    "Set GEMINI_API_KEY (a key from https://aistudio.google.com/apikey); or, for Vertex AI, GOOGLE_CLOUD_PROJECT and "
    "GOOGLE_APPLICATION_CREDENTIALS; or MEDIAGEN_BACKEND=emulator to try everything without a key and without cost."
)
HOW_TO_CONFIGURE: Mapping[Surface, str] = MappingProxyType(
    {
        "gemini": "Set GEMINI_API_KEY (a key from https://aistudio.google.com/apikey).",
        "vertex": "Set GOOGLE_CLOUD_PROJECT and GOOGLE_APPLICATION_CREDENTIALS (a service-account file), or run "
        "`gcloud auth application-default login`, or set VERTEX_AI_API_KEY (an express key).",
        "cliproxy": "Start CLIProxyAPI and set CLIPROXY_BASE_URL and CLIPROXY_API_KEY.",
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """One surface that can be used.

    Attributes:
        source: Where its credentials come from: a variable or a file, never the value.
        host: Address without path, or None for Google's own.
        project: Google Cloud project; None for keys that stand for one.
        is_express: Whether it is Vertex AI with an express key.
        only_when_asked: Whether `auto` passes it over: it needs no credentials, so nobody may have meant it.
    """

    surface: Surface
    source: str
    host: str | None = None
    project: str | None = None
    is_express: bool = False
    only_when_asked: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Configured:
    """What the settings and the chosen profile offer.

    Attributes:
        accesses: Usable surfaces, in the order in which `auto` tries them; at most one for each surface.
        missing: Why a surface cannot be used, in words.
        incomplete: The same for those that somebody meant to use: they have credentials that lack something.
        location: Location of Vertex AI that was asked for.
        emulator_host: Address of a running emulator, or None when the built-in one has to be started.
    """

    accesses: tuple[Access, ...] = ()
    missing: Mapping[Surface, str] = field(default_factory=dict)
    incomplete: Mapping[Surface, str] = field(default_factory=dict)
    location: str | None = None
    location_origin: Origin = "default"
    emulator_host: str | None = None

    @property
    def offered(self) -> tuple[Access, ...]:
        """Those that `auto` may choose."""
        return tuple(access for access in self.accesses if not access.only_when_asked)

    def access(self, surface: Surface) -> Access | None:
        """How a surface is reached, if it is configured."""
        return next((access for access in self.accesses if access.surface == surface), None)

    def others(self, surface: str) -> str:
        """The other surfaces in words, for an error of this one."""
        found = [_named(access) for access in self.offered if access.surface != surface]
        if found:
            return f"Also configured: {', '.join(found)}; choose it with backend."
        names = [SURFACE_NAMES[name] for name in SURFACE_NAMES if name != surface]
        return f"No other surface is configured ({', '.join(names)})."


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """Surface chosen for a request.

    Attributes:
        backend: Name as callers know it.
        surface: Whose protocol is spoken; the emulator speaks that of the surface that has the model.
        host: Address without path; None when the built-in emulator has to be started first.
        source: Where the credentials come from, for messages.
        reason: Why this one, in words.
        project: Google Cloud project, on Vertex AI without an express key.
        location: Location of Vertex AI; None before the model is known, and for express keys.
    """

    backend: Literal["gemini", "vertex", "cliproxy", "emulator"]
    surface: Surface
    host: str | None
    source: str
    reason: str
    project: str | None = None
    location: str | None = None
    is_express: bool = False

    def at(self, location: str) -> "Route":
        """The same route with its location on Vertex AI; anywhere else nothing changes.

        Raises:
            ConfigurationError: It is no name of a location.
        """
        if self.surface != "vertex" or self.is_express:
            return self
        if not LOCATION.fullmatch(location):
            raise ConfigurationError(
                "The location of Vertex AI is no name of a location.", hint=HOW_TO_CONFIGURE["vertex"]
            )
        host = self.host
        if host is None and self.backend != "emulator":
            host = vertex_host(location)
        return dataclasses.replace(self, host=host, location=location)

    def address(self, host: str) -> str:
        """Complete address under which the surface keeps its resources.

        Raises:
            ConfigurationError: The project is no name of one.
        """
        host = host.rstrip("/")
        if self.surface != "vertex":
            return host
        if self.project is None:
            return f"{host}/{VERTEX_VERSION}"
        if not PROJECT.fullmatch(self.project):
            raise ConfigurationError("The Google Cloud project is no id of a project.", hint=HOW_TO_CONFIGURE["vertex"])
        return f"{host}/{VERTEX_VERSION}/projects/{self.project}/locations/{self.location or 'global'}"


def vertex_host(location: str) -> str:
    """Address of Vertex AI for a location.

    Source: requests of google-genai 3.4.0 (checked 2026-11-21)
    """
    if location == "global":
        return GLOBAL_VERTEX_HOST
    if location in MULTI_REGIONS:
        return f"https://aiplatform.{location}.rep.googleapis.com"
    return f"https://{location}-aiplatform.googleapis.com"


def choose_route(wanted: Backend, configured: Configured, *, serving: Sequence[Surface], what: str) -> Route:
    """Choose the surface; nothing falls back silently from one to another.

    Args:
        wanted: What the caller or the settings ask for.
        configured: What can be used.
        serving: Surfaces that have, or may have, the model.
        what: The model or the kind of job in words, for messages.

    Raises:
        AuthenticationError: No credentials for the wanted surface, or for any at all.
        ConfigurationError: Surfaces are configured, but none has the model.
    """
    match wanted:
        case "emulator":
            return _emulated(configured, serving)
        case "auto":
            return _first(configured, serving, what)
        case surface:
            access = configured.access(surface)
            if access is None:
                raise _not_configured(surface, configured)
            return _route(access, "asked for")


def _emulated(configured: Configured, serving: Sequence[Surface]) -> Route:
    is_vertex = "gemini" not in serving and "vertex" in serving
    return Route(
        backend="emulator",
        surface="vertex" if is_vertex else "gemini",
        host=configured.emulator_host,
        source="none needed",
        reason="asked for",
        project=EMULATOR_PROJECT if is_vertex else None,
    )


def _first(configured: Configured, serving: Sequence[Surface], what: str) -> Route:
    passed_over: list[str] = []
    for access in configured.offered:
        if access.surface in serving:
            without = (
                f"; {', '.join(passed_over)} {'do' if len(passed_over) > 1 else 'does'} not have it"
                if passed_over
                else ""
            )
            # Somebody meant to use it, and would be surprised by another surface.
            unusable = "".join(
                f"; passed over: {why}" for name, why in configured.incomplete.items() if name in serving
            )
            return _route(access, f"first configured surface that has {what}: {_named(access)}{without}{unusable}")
        passed_over.append(_named(access))
    if not configured.offered:
        tried = " ".join(configured.missing[name] for name in SURFACE_NAMES if name in configured.missing)
        raise AuthenticationError(
            f"No credentials were found. {tried}".strip(), hint=NO_CREDENTIALS, code="no_credentials"
        )
    needed = " or ".join(SURFACE_NAMES[name] for name in serving)
    raise ConfigurationError(
        f"Not configured: {needed}, which {what} needs. Configured: {', '.join(passed_over)}.",
        hint=" ".join(HOW_TO_CONFIGURE[name] for name in serving) + " Or choose another model.",
        code="no_surface_for_model",
    )


def _route(access: Access, reason: str) -> Route:
    host = access.host
    if host is None and access.surface == "gemini":
        host = GEMINI_HOST
    if host is None and access.is_express:
        host = GLOBAL_VERTEX_HOST
    return Route(
        backend=access.surface,
        surface=access.surface,
        host=host,
        source=access.source,
        reason=reason,
        project=access.project,
        is_express=access.is_express,
    )


def _not_configured(surface: Surface, configured: Configured) -> AuthenticationError:
    why = configured.missing.get(surface, f"{SURFACE_NAMES[surface]} is not configured.")
    return AuthenticationError(
        why, hint=f"{HOW_TO_CONFIGURE[surface]} {configured.others(surface)}", code="no_credentials"
    )


def _named(access: Access) -> str:
    return f"{SURFACE_NAMES[access.surface]} ({access.source})"
