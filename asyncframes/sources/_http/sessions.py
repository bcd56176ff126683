"""The client sessions of a source: the caller's, or its own."""

from __future__ import annotations

import errno
import socket
from typing import Any, TypeAlias
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from asyncframes._model.quoting import shortened
from asyncframes.errors import ClosedError, NotPicklableError
from asyncframes.sources._http.public_addresses import is_public

REFUSED = "an address of a private network"

AddressInfo: TypeAlias = tuple[
    int, int, int, str, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
]
"""One result of `socket.getaddrinfo`."""


def refuse_session(session: object, source: object, remedy: str) -> None:
    """Refuse to pickle a source that was given a session.

    Raises
    ------
    NotPicklableError
        `session` is not ``None``.
    """
    if session is not None:
        raise NotPicklableError(
            f"{source!r} cannot be pickled, because its session belongs to this process: {remedy}"
        )


class ClientSessions:
    """Chooses the client session for each request, and its proxy.

    Parameters
    ----------
    given
        The caller's session, never closed here; ``None`` to make one on first use.
    trust_env
        Whether the source's own session uses the proxies of the environment.
    allow_private
        Whether the source's own session connects to private networks. If it may not, it
        uses no proxy either, because the proxy would make the connection.
    """

    def __init__(self, given: aiohttp.ClientSession | None, *, trust_env: bool, allow_private: bool) -> None:
        if given is not None and not allow_private:
            raise ValueError("allow_private=False cannot be combined with session: omit session")
        self._given = given
        self._own: aiohttp.ClientSession | None = None
        self._trust_env = trust_env and allow_private
        self._allow_private = allow_private

    def pick(self, url: URL, *, at_home: bool, name: str) -> tuple[aiohttp.ClientSession, dict[str, Any]]:
        """Choose the session for a URL, and the arguments that name its proxy.

        Parameters
        ----------
        url
            The URL.
        at_home
            Whether the URL has the origin that the caller passed.
        name
            Name of the source, for errors.

        Raises
        ------
        ClosedError
            The caller has closed its session.
        """
        given = self._given
        if given is not None and given.closed:
            raise ClosedError(f"the session passed for {shortened(name)} is closed")
        if given is not None and at_home:
            return given, {}
        if self._own is None:
            self._own = self._make(given)
        return self._own, _proxy_for(url) if given is None and self._trust_env else {}

    async def aclose(self) -> None:
        """Close the source's own session. The next request makes another."""
        session, self._own = self._own, None
        if session is not None:
            await session.close()

    def _make(self, given: aiohttp.ClientSession | None) -> aiohttp.ClientSession:
        if given is not None:
            # The caller's session may carry credentials, so requests to other origins use a session
            # without any, over the same connector.
            return aiohttp.ClientSession(
                connector=given.connector, connector_owner=False, trust_env=given.trust_env
            )
        return aiohttp.ClientSession(connector=None if self._allow_private else guarded_connector())


def _proxy_for(url: URL) -> dict[str, Any]:
    """Read the proxy from the environment. aiohttp's ``trust_env`` would also read a netrc file."""
    text = getproxies().get(url.scheme)
    if not text or not url.host or proxy_bypass(url.host):
        return {}
    proxy = URL(text if "://" in text else f"http://{text}")
    return {"proxy": proxy} if proxy.scheme in {"http", "https"} else {}


def guarded_connector() -> aiohttp.TCPConnector:
    """Make a connector that connects to public addresses only.

    The check comes after the name is resolved and before the connection, so both use the
    same address.
    """
    return aiohttp.TCPConnector(socket_factory=_public_socket)


def _public_socket(info: AddressInfo) -> socket.socket:
    family, kind, protocol, _, address = info
    if not is_public(str(address[0])):
        raise PermissionError(errno.EACCES, REFUSED)
    return socket.socket(family, kind, protocol)
