"""GET requests for one address: redirects, credentials and named errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from asyncframes._model.quoting import shortened
from asyncframes._model.ranges import Arrivals, short_read
from asyncframes._policy.policy import Policy
from asyncframes.errors import (
    AsyncFramesError,
    ClosedError,
    RangeNotSupportedError,
    ShortReadError,
    SourceAccessError,
    SourceError,
    SourceNotFoundError,
    SourceTimeoutError,
    SourceUnavailableError,
)
from asyncframes.sources._http.address import parse_url, redirected
from asyncframes.sources._http.credentials import Credentials, HeadersLike
from asyncframes.sources._http.pace import Pace
from asyncframes.sources._http.reply import status_error
from asyncframes.sources._http.sessions import ClientSessions
from asyncframes.sources._names import harmless_cause, public_url

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_READ_BUFFER_BYTES = 256 * 1024


class HttpClient:
    """Requests bytes from one address.

    Parameters
    ----------
    url
        ``http`` or ``https``. User info in it becomes the `Authorization` header.
    sessions
        Client sessions, closed with the client.
    headers, auth, cookies
        The caller's, sent only to the origin of `url`.
    timeout
        Limits of each wait.

    Attributes
    ----------
    scheme
        ``http`` or ``https``.
    """

    def __init__(
        self,
        url: str,
        *,
        sessions: ClientSessions,
        headers: HeadersLike | None,
        auth: aiohttp.BasicAuth | tuple[str, str] | None,
        cookies: Mapping[str, str] | None,
        timeout: aiohttp.ClientTimeout,
    ) -> None:
        parsed = parse_url(url)
        self.name = public_url(url)
        self.scheme: str = parsed.scheme
        self._url = self._target = parsed.with_user(None)
        self._credentials = Credentials(parsed, headers=headers, auth=auth, cookies=cookies)
        self._sessions = sessions
        self._timeout = timeout
        self._closed = False

    async def get(self, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        """Send a GET request and follow redirects.

        Returns
        -------
        aiohttp.ClientResponse
            A response with status 200, 206 or 416 and a body without encoding. The
            caller releases it.

        Raises
        ------
        SourceError
            There is no such response.
        """
        target = self._target
        try:
            return await self._follow(target, headers)
        except (SourceAccessError, SourceNotFoundError):
            if target == self._url:
                raise
            # Redirects often lead to signed addresses, which expire.
            self._target = self._url
            return await self._follow(self._url, headers)

    async def read_body(
        self, response: aiohttp.ClientResponse, arrivals: Arrivals, stop: int, pace: Pace
    ) -> None:
        """Pass on the bytes up to `stop` as they arrive.

        Raises
        ------
        ShortReadError
            The body ends early.
        SourceError
            The connection failed.
        """
        start = arrivals.position
        with self.errors(), suppress(aiohttp.ClientPayloadError):
            while arrivals.position < stop and (part := await pace.next(response.content.readany())):
                arrivals.add(part[: stop - arrivals.position])
        if arrivals.position < stop:
            raise short_read(start, stop, received=arrivals.position - start, name=self.name)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Translate exceptions of aiohttp in the block."""
        try:
            yield
        except AsyncFramesError:
            raise
        except Exception as exc:  # noqa: BLE001 - aiohttp raises anything on unexpected input
            error = self._closed_error() if self._closed else as_source_error(exc, name=self.name)
            error.__cause__ = harmless_cause(exc)
        else:
            return
        raise error

    async def aclose(self) -> None:
        """Close the client. The caller's session stays open."""
        self._closed = True
        await self.close_session()

    def narrow(self, policy: Policy) -> None:
        """Allow only what a policy allows too, from now on.

        Raises
        ------
        ValueError
            The policy limits hosts, but the client's session does not check them.
        """
        self._sessions.narrow(self._sessions.reach.narrowed(policy))

    async def close_session(self) -> None:
        """Close the client's own session. The next request makes another."""
        await self._sessions.aclose()

    def outdate_credentials(self) -> None:
        """Call the function for the headers, if there is one, before the next request."""
        self._credentials.outdate(None)

    async def _follow(self, url: URL, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        reach = self._sessions.reach
        for _ in range(reach.max_redirects + 1):
            response = await self._send(url, headers)
            if response.status in _REDIRECTS and "Location" in response.headers:
                response.release()
                url = redirected(url, response.headers["Location"], name=self.name)
                continue
            self._check_reply(response)
            self._target = url
            return response
        raise reach.too_many_redirects(name=self.name)

    async def _send(self, url: URL, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        if _origin(url) != _origin(self._url):
            return await self._request(url, headers, at_home=False)
        credentials = await self._credentials.headers(name=self.name)
        response = await self._request(url, _joined(credentials, headers), at_home=True)
        if response.status == 401 and self._credentials.outdate(credentials):
            response.release()
            credentials = await self._credentials.headers(name=self.name)
            response = await self._request(url, _joined(credentials, headers), at_home=True)
        return response

    async def _request(
        self, url: URL, headers: Mapping[str, str], *, at_home: bool
    ) -> aiohttp.ClientResponse:
        if self._closed:
            raise self._closed_error()
        reach = self._sessions.reach
        reach.check(url, name=self.name)
        session, proxy = self._sessions.pick(url, at_home=at_home, name=self.name)
        with reach.towards(url, name=self.name), self.errors():
            return await session.get(
                url,
                headers=headers,
                allow_redirects=False,
                auto_decompress=False,
                raise_for_status=False,
                read_bufsize=_READ_BUFFER_BYTES,
                timeout=self._timeout,
                **proxy,
            )

    def _check_reply(self, response: aiohttp.ClientResponse) -> None:
        error: SourceError | None = None
        encoding = response.headers.get("Content-Encoding") or "identity"
        if response.status not in {200, 206, 416}:
            error = status_error(response.status, response.headers, name=self.name)
        elif response.status != 416 and encoding.lower() != "identity":
            error = RangeNotSupportedError(
                f"the server encodes the bytes ({shortened(encoding, longest=40)}) despite "
                "Accept-Encoding: identity",
                source=self.name,
            )
        if error is not None:
            response.release()
            raise error

    def _closed_error(self) -> ClosedError:
        return ClosedError(f"the source is closed [{shortened(self.name)}]")


def as_source_error(exc: Exception, *, name: str) -> AsyncFramesError:
    """Translate an exception of aiohttp. Exceptions of other kinds become errors that are not retried."""
    match exc:
        case TimeoutError():
            return SourceTimeoutError("no bytes arrived within the time limit", source=name)
        case aiohttp.ClientPayloadError():
            return ShortReadError("the connection ended before the body was complete", source=name)
        case aiohttp.ClientSSLError():
            return SourceAccessError(
                "the TLS connection failed, or the server's certificate is not trusted", source=name
            )
        case aiohttp.ClientConnectorDNSError():
            return SourceUnavailableError("the host name cannot be resolved", source=name)
        case OSError():
            reason = exc.strerror or type(exc).__name__
            return SourceUnavailableError(f"the connection to the server failed: {reason}", source=name)
        case aiohttp.ClientError():
            return SourceUnavailableError(f"the HTTP exchange failed: {type(exc).__name__}", source=name)
        case _:
            return SourceError(f"the HTTP exchange failed: {type(exc).__name__}", source=name)


def _joined(credentials: Mapping[str, str], headers: Mapping[str, str]) -> CIMultiDict[str]:
    joined = CIMultiDict(credentials)
    joined.update(headers)
    return joined


def _origin(url: URL) -> tuple[str, str | None, int | None]:
    return url.scheme, url.host, url.port
