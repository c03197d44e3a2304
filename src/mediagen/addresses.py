"""Which hosts and numbers belong to the public internet. Pure."""

import ipaddress
import socket
from typing import Final

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


def is_private_host(host: str) -> bool:
    """Whether a host is, by its name alone, a number of a private network or known only to such a network."""
    name = host.lower().rstrip(".")
    number = literal(name)
    if number is not None:
        return not is_public(number)
    return name in _LOCAL_NAMES or name.endswith(_LOCAL_SUFFIXES) or "." not in name
