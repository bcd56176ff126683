"""Keeping requests out of private networks, by the address that is really connected to."""

from __future__ import annotations

import errno
import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import TypeAlias

import aiohttp

REFUSED = "an address of a private network"

_NAT64 = IPv6Network("64:ff9b::/96")

AddressInfo: TypeAlias = tuple[
    int, int, int, str, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
]
"""As `socket.getaddrinfo` gives it."""


def guarded_connector() -> aiohttp.TCPConnector:
    """Make a connector that connects to public addresses only.

    The check comes between the name's resolution and the connection, so a name
    cannot mean one address to the check and another to the connection.
    """
    return aiohttp.TCPConnector(socket_factory=_public_socket)


def is_public(address: str) -> bool:
    """Tell whether anybody on the internet could reach an address.

    Parameters
    ----------
    address
        IPv4 or IPv6 in text; an IPv4 address inside an IPv6 one counts as itself.
    """
    ip = _innermost(ip_address(address.partition("%")[0]))
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def _innermost(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if isinstance(ip, IPv4Address):
        return ip
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


def _public_socket(info: AddressInfo) -> socket.socket:
    family, kind, protocol, _, address = info
    if not is_public(str(address[0])):
        raise PermissionError(errno.EACCES, REFUSED)
    return socket.socket(family, kind, protocol)
