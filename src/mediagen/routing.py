"""Which API surface serves a request. Pure."""

from dataclasses import dataclass
from typing import Literal

from mediagen.errors import AuthenticationError, ConfigurationError
from mediagen.requests import Backend

GEMINI_BASE_URL = "https://generativelanguage.googleapis.com"

NO_KEY = "No Gemini API key is set (looked at GOOGLE_API_KEY and GEMINI_API_KEY)."
NO_CREDENTIALS = (
    "Set GEMINI_API_KEY (a key from https://aistudio.google.com/apikey), "
    "or MEDIAGEN_BACKEND=emulator to try everything without a key and without cost."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Configured:
    """What the settings offer.

    Attributes:
        gemini_base_url: Address that was set, or None for Google's own.
        other_variables: Credential variables of other surfaces that are set.
    """

    has_gemini_key: bool
    gemini_base_url: str | None = None
    other_variables: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """Surface chosen for a request.

    Attributes:
        backend: Name as callers know it.
        surface: Whose protocol is spoken; the emulator speaks that of the Gemini API.
        base_url: Address, or None when the built-in emulator has to be started first.
        reason: Why this one, in words.
    """

    backend: Literal["gemini", "emulator"]
    surface: Literal["gemini"]
    base_url: str | None
    reason: str


def choose_route(wanted: Backend, configured: Configured) -> Route:
    """Choose the surface; nothing falls back silently from one to another.

    Raises:
        ConfigurationError: The wanted surface is not available in this version.
        AuthenticationError: No credentials for it.
    """
    match wanted:
        case "emulator":
            return Route(backend="emulator", surface="gemini", base_url=configured.gemini_base_url, reason="asked for")
        case "vertex" | "cliproxy":
            raise ConfigurationError(
                f"backend={wanted!r} is not available in this version; allowed: gemini, emulator, auto.",
                hint=NO_CREDENTIALS,
                code="backend_unavailable",
            )
        case "gemini" | "auto":
            return _gemini(wanted, configured)


def _gemini(wanted: Backend, configured: Configured) -> Route:
    if configured.has_gemini_key:
        reason = "asked for" if wanted == "gemini" else "first configured surface: a Gemini API key is set"
        return Route(
            backend="gemini",
            surface="gemini",
            base_url=configured.gemini_base_url or GEMINI_BASE_URL,
            reason=reason,
        )
    message = NO_KEY
    if configured.other_variables:
        found = ", ".join(sorted(configured.other_variables))
        message += f" {found} found, but this version speaks only to the Gemini API."
    raise AuthenticationError(message, hint=NO_CREDENTIALS, code="no_credentials")
