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
from asyncframes.sources._http.reach import Reach

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
    reach
        Where the source's own session may connect to. If some hosts are refused, it uses no
        proxy either, because the proxy would make the connection.

    Raises
    ------
    ValueError
        Some hosts are refused, but the caller's session would not check.
    """

    def __init__(self, given: aiohttp.ClientSession | None, *, trust_env: bool, reach: Reach) -> None:
        self._given = given
        self._own: aiohttp.ClientSession | None = None
        self._trust_env = trust_env
        self.reach = reach
        self._refuse_unchecked()

    def narrow(self, reach: Reach) -> None:
        """Change where requests may go from now on.

        Raises
        ------
        ValueError
            Some hosts are refused, but the caller's session, or one that is open already, would not check.
        """
        if self._own is not None and reach.hosts != self.reach.hosts:
            raise ValueError("a policy with hosts needs a source that is not open yet: make another one")
        self.reach = reach
        self._refuse_unchecked()

    def _refuse_unchecked(self) -> None:
        if self._given is not None and self.reach.is_guarded:
            raise ValueError(
                "allow_private=False, or hosts of a policy, cannot be combined with session: omit session"
            )

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
        may_use_proxy = given is None and self._trust_env and not self.reach.is_guarded
        return self._own, _proxy_for(url) if may_use_proxy else {}

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
        connector = guarded_connector(self.reach) if self.reach.is_guarded else None
        return aiohttp.ClientSession(connector=connector)


def _proxy_for(url: URL) -> dict[str, Any]:
    """Read the proxy from the environment. aiohttp's ``trust_env`` would also read a netrc file."""
    text = getproxies().get(url.scheme)
    if not text or not url.host or proxy_bypass(url.host):
        return {}
    proxy = URL(text if "://" in text else f"http://{text}")
    return {"proxy": proxy} if proxy.scheme in {"http", "https"} else {}


def guarded_connector(reach: Reach) -> aiohttp.TCPConnector:
    """Make a connector that connects to allowed addresses only.

    The check comes after the name is resolved and before the connection, so both use the
    same address.
    """

    def checked_socket(info: AddressInfo) -> socket.socket:
        family, kind, protocol, _, address = info
        place = str(address[0])
        if not reach.admits(place, is_public=is_public(place)):
            raise PermissionError(errno.EACCES, "an address that is not allowed")
        return socket.socket(family, kind, protocol)

    return aiohttp.TCPConnector(socket_factory=checked_socket)
