"""The client sessions that requests use: the caller's, or our own."""

from __future__ import annotations

import errno
import socket
from typing import Any, TypeAlias
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from asyncframes._model.quoting import shortened
from asyncframes.errors import ClosedError
from asyncframes.sources._http.public_addresses import is_public

REFUSED = "an address of a private network"

AddressInfo: TypeAlias = tuple[
    int, int, int, str, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
]
"""As `socket.getaddrinfo` gives it."""


class ClientSessions:
    """Choose the client session for each request, and its proxy.

    Parameters
    ----------
    given
        The caller's, never closed here; ``None`` to make one on first use.
    trust_env
        Whether our own goes through the proxies that the environment names.
    allow_private
        Whether our own connects to private networks; where it may not, it goes
        through no proxy either, since the proxy would do the connecting.
    """

    def __init__(self, given: aiohttp.ClientSession | None, *, trust_env: bool, allow_private: bool) -> None:
        if given is not None and not allow_private:
            raise ValueError("allow_private=False needs a session of its own: leave session out")
        self._given = given
        self._own: aiohttp.ClientSession | None = None
        self._trust_env = trust_env and allow_private
        self._allow_private = allow_private

    def pick(self, url: URL, *, at_home: bool, name: str) -> tuple[aiohttp.ClientSession, dict[str, Any]]:
        """Choose the session for a URL, and arguments for its request.

        Raises
        ------
        ClosedError
            The caller closed its session.
        """
        given = self._given
        if given is not None and given.closed:
            raise ClosedError(f"the session given for {shortened(name)} is closed")
        if given is not None and at_home:
            return given, {}
        if self._own is None:
            self._own = self._make(given)
        return self._own, _proxy_for(url) if given is None and self._trust_env else {}

    async def aclose(self) -> None:
        """Close our own; the next request makes another."""
        session, self._own = self._own, None
        if session is not None:
            await session.close()

    def _make(self, given: aiohttp.ClientSession | None) -> aiohttp.ClientSession:
        if given is not None:
            # The caller's session may carry credentials of its own; another origin gets a bare
            # one on the same connections.
            return aiohttp.ClientSession(
                connector=given.connector, connector_owner=False, trust_env=given.trust_env
            )
        return aiohttp.ClientSession(connector=None if self._allow_private else guarded_connector())


def _proxy_for(url: URL) -> dict[str, Any]:
    """Read the proxy from the environment; aiohttp's own way would read a netrc file too."""
    text = getproxies().get(url.scheme)
    if not text or not url.host or proxy_bypass(url.host):
        return {}
    proxy = URL(text if "://" in text else f"http://{text}")
    return {"proxy": proxy} if proxy.scheme in {"http", "https"} else {}


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
