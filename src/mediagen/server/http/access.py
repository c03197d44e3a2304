"""Who may connect to the HTTP server: decided from the settings before it listens."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from mcp.server.transport_security import TransportSecuritySettings

from mediagen.errors import ConfigurationError
from mediagen.settings import Settings

LOOPBACK = ("127.0.0.1", "localhost", "::1")
OWN_HOSTS = ("127.0.0.1:*", "localhost:*", "[::1]:*")
OWN_ORIGINS = ("http://127.0.0.1:*", "http://localhost:*", "http://[::1]:*")
SHORTEST_TOKEN = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """Who may connect.

    Attributes:
        settings: With the address under which callers know the server.
        is_shared: Whether every caller has to say who it is.
        security: Host names and web origins that are let in.
    """

    settings: Settings
    is_shared: bool
    security: TransportSecuritySettings


def access_of(settings: Settings, host: str, port: int) -> Access:
    """Decide who may connect to a server at an address.

    Raises:
        ConfigurationError: It would be open to others than those who are meant; says what to set.
    """
    is_shared = bool(settings.http_token or settings.http_issuer)
    is_local = host in LOOPBACK
    _check_issuer(settings)
    _check_names(settings)
    # A proxy in front of it makes a server of this machine one for others.
    if not is_local or settings.http_allowed_hosts or not _is_own(settings.http_public_url):
        _check_token(settings)
    if not is_shared:
        _check_unshared(settings, host)
    elif not is_local and not settings.http_allowed_hosts:
        raise ConfigurationError(
            f"--host {host} can be reached by others, and MEDIAGEN_HTTP_ALLOWED_HOSTS is not set.",
            hint="Set it to the host names under which callers reach this server, such as media.example.com.",
        )
    public = settings.http_public_url or _usual_url(settings, host, port)
    parts = urlsplit(public)
    hosts = [*(OWN_HOSTS if is_local else ()), *_with_ports((parts.netloc, *settings.http_allowed_hosts))]
    origins = [*(OWN_ORIGINS if is_local else ()), f"{parts.scheme}://{parts.netloc}", *settings.http_allowed_origins]
    return Access(
        settings=settings.model_copy(update={"http_public_url": public}),
        is_shared=is_shared,
        security=TransportSecuritySettings(
            allowed_hosts=[*dict.fromkeys(hosts)],
            allowed_origins=[*dict.fromkeys(origin.rstrip("/") for origin in origins)],
        ),
    )


def _check_unshared(settings: Settings, host: str) -> None:
    if host not in LOOPBACK:
        raise ConfigurationError(
            f"--host {host} can be reached by others, and there is neither a token nor an OAuth issuer: "
            "everybody could spend your money.",
            hint="Set MEDIAGEN_HTTP_TOKEN (or MEDIAGEN_HTTP_ISSUER with MEDIAGEN_HTTP_PUBLIC_URL) and "
            f"MEDIAGEN_HTTP_ALLOWED_HOSTS. Without them only this machine is served: {', '.join(LOOPBACK)}.",
        )
    # A proxy in front of it makes a server of this machine one for others.
    named = {
        "MEDIAGEN_HTTP_ALLOWED_HOSTS": bool(settings.http_allowed_hosts),
        "MEDIAGEN_HTTP_ALLOWED_ORIGINS": bool(settings.http_allowed_origins),
        "MEDIAGEN_HTTP_PUBLIC_URL": bool(settings.http_public_url),
    }
    for variable, is_set in named.items():
        if is_set:
            raise ConfigurationError(
                f"{variable} lets others in, and there is neither a token nor an OAuth issuer.",
                hint="Set MEDIAGEN_HTTP_TOKEN or MEDIAGEN_HTTP_ISSUER, or unset it to serve this machine alone.",
            )


def _check_names(settings: Settings) -> None:
    named = {
        "MEDIAGEN_HTTP_ALLOWED_HOSTS": (settings.http_allowed_hosts, "media.example.com"),
        "MEDIAGEN_HTTP_ALLOWED_ORIGINS": (settings.http_allowed_origins, "https://app.example.com"),
    }
    for variable, (names, example) in named.items():
        for name in names:
            # Elsewhere a star stands for itself, so that everybody would be refused.
            if "*" in name.removesuffix(":*"):
                raise ConfigurationError(
                    f"{variable} holds {name!r}; a star is only possible as the port.",
                    hint=f"Name each one in full, such as {example}.",
                )


def _check_token(settings: Settings) -> None:
    token = settings.http_token
    if token is not None and len(token.get_secret_value()) < SHORTEST_TOKEN:
        raise ConfigurationError(
            f"MEDIAGEN_HTTP_TOKEN is shorter than {SHORTEST_TOKEN} characters: whoever reaches this server could "
            "guess it, and spend your money.",
            hint="Make one with: openssl rand -hex 32",
        )


def _check_issuer(settings: Settings) -> None:
    if settings.http_issuer is None:
        for variable, value in (
            ("MEDIAGEN_HTTP_JWKS_URL", settings.http_jwks_url),
            ("MEDIAGEN_HTTP_SCOPES", settings.http_scopes),
        ):
            if value:
                raise ConfigurationError(
                    f"{variable} is set without MEDIAGEN_HTTP_ISSUER, to which it belongs.", hint="Set both or neither."
                )
        return
    if settings.http_public_url is None:
        raise ConfigurationError(
            "MEDIAGEN_HTTP_ISSUER needs MEDIAGEN_HTTP_PUBLIC_URL: only tokens made for that address are accepted.",
            hint="Set it to the address of this server as its callers know it, such as https://media.example.com.",
        )
    addresses = {"MEDIAGEN_HTTP_ISSUER": settings.http_issuer, "MEDIAGEN_HTTP_JWKS_URL": settings.http_jwks_url}
    for variable, address in addresses.items():
        if address and not is_trustworthy(address):
            raise ConfigurationError(
                f"{variable} is not encrypted: whoever sits in between could hand out keys.", hint="Use https."
            )


def _is_own(address: str | None) -> bool:
    return address is None or urlsplit(address).hostname in LOOPBACK


def is_trustworthy(address: str) -> bool:
    """Whether what comes from an address can be believed: over https, or from this machine."""
    parts = urlsplit(address)
    return parts.scheme == "https" or parts.hostname in LOOPBACK


def _usual_url(settings: Settings, host: str, port: int) -> str:
    if host in LOOPBACK:
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"
    name = settings.http_allowed_hosts[0].removesuffix(":*")
    return f"http://{name}" if _has_port(name) else f"http://{name}:{port}"


def _with_ports(names: tuple[str, ...]) -> list[str]:
    """Each name as it is, and one without a port with any: behind a proxy the port is not known here."""
    return [form for name in names for form in ((name,) if _has_port(name) else (name, f"{name}:*"))]


def _has_port(name: str) -> bool:
    return ":" in name.rpartition("]")[2]
