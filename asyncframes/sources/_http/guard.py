"""Keeping requests out of private networks, by the address that is really connected to."""

from __future__ import annotations

import errno
import socket
from typing import TypeAlias

import aiohttp

from asyncframes.sources._http.public_addresses import is_public

REFUSED = "an address of a private network"

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


def _public_socket(info: AddressInfo) -> socket.socket:
    family, kind, protocol, _, address = info
    if not is_public(str(address[0])):
        raise PermissionError(errno.EACCES, REFUSED)
    return socket.socket(family, kind, protocol)
