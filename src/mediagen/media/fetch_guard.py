"""Keeps downloads away from this machine and its network: which hosts and addresses may be contacted."""

import socket
from collections.abc import Awaitable, Callable, Sequence
from urllib.request import getproxies, proxy_bypass

import anyio

from mediagen.addresses import is_private_host, is_public, literal
from mediagen.errors import InvalidRequestError, UnavailableError
from mediagen.media.sources import BY_PATH

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


async def resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system for the addresses of a name.

    Raises:
        OSError: It has none.
    """
    found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def proxy_for(scheme: str, host: str) -> str | None:
    """Proxy that the environment names for an address, None for a direct connection."""
    proxies = getproxies()
    proxy = proxies.get(scheme) or proxies.get("all")
    if not proxy or proxy_bypass(host):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def check_name(host: str, field: str) -> None:
    """Refuse a host by its name alone, which is all there is when a proxy or Google looks the name up.

    Raises:
        InvalidRequestError: It is a number of a private network, or a name that only such a network knows.
    """
    if is_private_host(host):
        raise _refused(host, field)


async def checked_addresses(host: str, port: int, *, field: str, resolve: Resolve, is_allowed: bool) -> Sequence[str]:
    """Look a host up once; the caller connects to what comes back and to nothing else.

    Args:
        host: Name or number.
        port: Port, for the resolver.
        field: Argument that the address was given for.
        resolve: Looks names up.
        is_allowed: Whether private addresses are meant.

    Raises:
        InvalidRequestError: One of its addresses is not public. One is enough: which of them would be used is chance.
        UnavailableError: It has no address.
    """
    if not is_allowed:
        check_name(host, field)
    number = literal(host)
    if number is not None:
        return (number,)
    try:
        found = await resolve(host, port)
    except (OSError, UnicodeError) as error:
        raise _unknown(host) from error
    if not found:
        raise _unknown(host)
    if not is_allowed and not all(map(is_public, found)):
        raise _refused(host, field)
    return found


def _refused(host: str, field: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"{field}: {host!r} is in a private network or on this machine; nothing is fetched from there.",
        field=field,
        hint=f"Download the file yourself and {BY_PATH}.",
        code="private_address",
    )


def _unknown(host: str) -> UnavailableError:
    return UnavailableError(
        f"The host {host!r} was not found.", hint="Check the address and the network.", code="host_not_found"
    )
