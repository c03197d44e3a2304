"""How an address is reached: the proxies and certificates of the environment, as httpx honours them."""

import os
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies

from mediagen.errors import ConfigurationError

_PORTS = {"https": 443, "http": 80}


def certificates(environment: Mapping[str, str]) -> dict[str, str | None]:
    """File or folder of the trusted certificates."""
    if file := environment.get("SSL_CERT_FILE"):
        return {"cafile": file, "capath": None}
    if folder := environment.get("SSL_CERT_DIR"):
        return {"cafile": None, "capath": folder}
    import certifi

    return {"cafile": certifi.where(), "capath": None}


def proxy_for(address: str) -> str | None:
    """Proxy through which an address is reached, if any.

    Raises:
        ConfigurationError: It is of a kind that cannot be used here.
    """
    url = urlsplit(address)
    if is_loopback(url.hostname or ""):
        return None
    found = getproxies()
    excepted = [item.strip().lower() for item in found.get("no", "").split(",")]
    if "*" in excepted or any(_excepts(item, url) for item in excepted if item):
        return None
    proxy = found.get(url.scheme) or found.get("all")
    if not proxy:
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if urlsplit(proxy).scheme != "http" or not urlsplit(proxy).hostname:
        raise ConfigurationError(
            "The proxy that the environment names cannot be used: only http:// proxies can.",
            hint="Set HTTPS_PROXY (and ALL_PROXY, NO_PROXY) to addresses like http://proxy.example:3128.",
        )
    return proxy


def _excepts(item: str, url: SplitResult) -> bool:
    scheme, separator, _ = item.partition("://")
    if separator:
        named = urlsplit(item)
        return (
            scheme in {"all", url.scheme}
            and named.port in {None, url.port or _PORTS.get(url.scheme)}
            and _is_named(named.hostname or "*", url.hostname or "")
        )
    if _is_address(item.strip("[]")) or item == "localhost":
        return item.strip("[]") == url.hostname
    return _is_named(f"*{item}", url.hostname or "")


def _is_named(pattern: str, host: str) -> bool:
    """Whether a name fits: ``*.example.com`` is all below, ``*example.com`` that and itself, others themselves."""
    if not pattern.startswith("*"):
        return host == pattern
    name = pattern[1:]
    return host.endswith(name) if name.startswith(".") or not name else host == name or host.endswith(f".{name}")


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether a host is this machine; no proxy of the environment can reach it."""
    return host == "localhost" or (_is_address(host) and ip_address(host).is_loopback)


_NEEDED = ("PATH", "HOME", "TZ", "TMPDIR", "LOCALDOMAIN", "RES_OPTIONS", "HOSTALIASES")
_NEEDED_PREFIXES = ("LD_", "DYLD_", "LC_", "LANG", "OPENSSL_", "SYSTEMROOT")


def plain_environment() -> dict[str, str]:
    """What a process needs that gets everything else by message: no keys, tokens or proxies."""
    return {name: value for name, value in os.environ.items() if name in _NEEDED or name.startswith(_NEEDED_PREFIXES)}
