"""Which machines a tool may speak to: those of the public internet, and what its entry allows beyond.

The one rule: what is judged is an address, after a name was resolved, in whichever form it is written; a name alone proves nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})?(\.[a-z0-9_]([a-z0-9_-]{0,62})?)*\.?")
_PROTOCOL_ASSIGNMENTS = IPv4Network("192.0.0.0/24")  # RFC 6890; in Python only partly so, and a cloud's metadata is at 192.0.0.192
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address


def fault_in_allowed(entry: str, /) -> str:
    """Why an entry of `allow` means nothing; empty for an address, a network such as 10.0.0.0/8, or a host's name."""
    try:
        ip_network(entry, strict=True)
    except ValueError as error:
        if re.fullmatch(r"[0-9.:/a-f]*[:/][0-9.:/a-f]*|[0-9.]+", entry):
            return str(error)
        return "" if _HOST.fullmatch(entry.lower()) else "is neither an address, nor a network, nor a host's name"
    return ""


def why_closed(address: str, host: str, allow: Sequence[str], /) -> str:
    """Why an address that a host's name was resolved to may not be spoken to; empty when it may."""
    name = host.lower().rstrip(".")
    if any(name == entry.lower().rstrip(".") for entry in allow):
        return ""
    try:
        known = plain(ip_address(address))
    except ValueError:
        return f"{address} is no address"
    if is_public(known) or any(_holds(entry, known) for entry in allow):
        return ""
    shown = host if host == address else f"{host} ({address})"
    return f"{shown} is not on the public internet, and `allow` does not name it"


def plain(address: Address, /) -> Address:
    """An address as what it leads to: the IPv4 one that an IPv6 one carries (mapped, 6to4, NAT64)."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.sixtofour is not None:
            return address.sixtofour
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def is_public(address: Address, /) -> bool:
    """Whether an address (`plain`) is one of the public internet, and of one machine there."""
    closed = address.is_multicast or address.is_reserved or address.is_unspecified or address in _PROTOCOL_ASSIGNMENTS
    if isinstance(address, IPv6Address):
        closed = closed or address.is_site_local
    return address.is_global and not closed


def _holds(entry: str, address: Address) -> bool:
    try:
        network = ip_network(entry, strict=True)
    except ValueError:
        return False
    return address in network
