"""Keeps downloads away from this machine and its network: which hosts and addresses may be contacted."""

import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from urllib.request import getproxies, proxy_bypass

import anyio

from mediagen.errors import InvalidRequestError, UnavailableError

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_LOCAL_NAMES: Final = frozenset({"localhost", "metadata"})
_LOCAL_SUFFIXES: Final = (".localhost", ".local", ".internal", ".intranet", ".lan", ".home.arpa", ".onion")
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_GLOBAL_V6: Final = ipaddress.IPv6Network("2000::/3")
_REFUSED: Final = (
    # Public by its number, but answered by the host of an Azure machine.
    ipaddress.ip_network("168.63.129.16/32"),
    # Old relays of 6to4, and documentation: Python counts them as global or does so in some versions.
    # Those of the protocols themselves; Oracle's machines find their metadata there.
    ipaddress.ip_network("192.0.0.0/24"),
    ipaddress.ip_network("192.88.99.0/24"),
    ipaddress.ip_network("3fff::/20"),
)


async def resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system for the addresses of a name.

    Raises:
        OSError: It has none.
    """
    found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet.

    Addresses of version 6 that carry one of version 4 (mapped, NAT64, 6to4, Teredo) are judged by what they carry.
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        carried = _carried(found)
        if carried is not None:
            return all(_is_public(inner) for inner in carried)
        if found not in _GLOBAL_V6:
            return False
    return _is_public(found)


def _carried(address: ipaddress.IPv6Address) -> tuple[IPAddress, ...] | None:
    if address.ipv4_mapped:
        return (address.ipv4_mapped,)
    if address in _NAT64:
        return (ipaddress.IPv4Address(int(address) & 0xFFFFFFFF),)
    if address.sixtofour:
        return (address.sixtofour,)
    return address.teredo


def _is_public(address: IPAddress) -> bool:
    return address.is_global and not (
        address.is_multicast
        or address.is_reserved
        or address.is_unspecified
        or address.is_loopback
        or address.is_link_local
        or any(address in network for network in _REFUSED if network.version == address.version)
    )


def literal(host: str) -> str | None:
    """Read a host that is a number rather than a name: dotted, decimal, octal, hexadecimal or of version 6."""
    try:
        return str(ipaddress.ip_address(host.strip("[]").partition("%")[0]))
    except ValueError:
        pass
    if host[:1].isdigit() and all(part and part[0].isdigit() for part in host.rstrip(".").split(".")):
        try:
            # What the system itself would make of "2130706433", "0x7f.1" and "0177.0.0.1".
            return socket.inet_ntoa(socket.inet_aton(host.rstrip(".")))
        except (OSError, ValueError):
            return None
    return None


def proxy_for(scheme: str, host: str) -> str | None:
    """Proxy that the environment names for an address, None for a direct connection."""
    proxies = getproxies()
    proxy = proxies.get(scheme) or proxies.get("all")
    if not proxy or proxy_bypass(host):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def check_name(host: str, field: str) -> None:
    """Refuse a host by its name alone, which is all there is when a proxy looks the name up.

    Raises:
        InvalidRequestError: It is a number of a private network, or a name that only such a network knows.
    """
    name = host.lower().rstrip(".")
    number = literal(name)
    if number is not None:
        if not is_public(number):
            raise _refused(host, field)
    elif name in _LOCAL_NAMES or name.endswith(_LOCAL_SUFFIXES) or "." not in name:
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
        hint="Download the file yourself and give its path.",
        code="private_address",
    )


def _unknown(host: str) -> UnavailableError:
    return UnavailableError(
        f"The host {host!r} was not found.", hint="Check the address and the network.", code="host_not_found"
    )
