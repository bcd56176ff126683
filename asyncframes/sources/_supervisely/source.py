"""A video on a Supervisely server, by its number."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol
from urllib.parse import SplitResult, urlsplit, urlunsplit

import aiohttp

from asyncframes._model.quoting import quoted
from asyncframes._policy.policy import Policy
from asyncframes._runtime.life import OneProcess
from asyncframes._runtime.threads import in_own_thread
from asyncframes.abc import StreamSource
from asyncframes.errors import (
    SourceAddressError,
    SourceError,
    SourceNotFoundError,
    SourceNotReadyError,
    SourceTimeoutError,
    SourceUnavailableError,
)
from asyncframes.sources._http.reply import status_error
from asyncframes.sources._http.sessions import refuse_session
from asyncframes.sources._http.source import HttpSource
from asyncframes.sources._supervisely.server import SuperviselyServer, token_header

_STORAGE_URL = "fullStorageUrl"


class VideoApi(Protocol):
    """The part of the SDK's ``api.video`` that is used."""

    def get_json_info_by_id(
        self, video_id: int, /, *, force_metadata_for_links: bool
    ) -> Mapping[str, Any] | None:
        """Return what the server knows of a video, ``None`` if there is no such video."""
        ...


class SuperviselyApi(Protocol):
    """The part of the SDK's ``Api`` object that is used. Any object with these members will do."""

    @property
    def video(self) -> VideoApi:
        """API for videos."""
        ...

    @property
    def server_address(self) -> str:
        """Address of the server: scheme and host."""
        ...

    @property
    def token(self) -> str | None:
        """API token, sent as ``x-api-key`` to the server only."""
        ...


class SuperviselySource(OneProcess, StreamSource):
    """A video on a Supervisely server.

    Opening asks the server once where the video is stored. As in the SDK, the server's
    own scheme and host replace those of the answer. `HttpSource` then reads the address.
    The token is sent to the server, and not to other hosts after a redirect. When the
    address expires, reads fail; make a new source to look it up again.

    Parameters
    ----------
    api
        The SDK's ``Api`` object, any object with its members
        ``video.get_json_info_by_id``, ``server_address`` and ``token``, or a
        `SuperviselyServer`, which needs no SDK. The SDK's look-up blocks, so it runs in
        its own thread.
    video_id
        Number of the video.
    session
        Used for the video's bytes and never closed; see `HttpSource`.
    read_timeout_seconds
        Longest wait for more bytes.
    lookup_timeout_seconds
        Longest wait for the look-up. The SDK has no timeout: it makes ten attempts in
        303 seconds, and its thread runs until then.
    """

    def __init__(
        self,
        api: SuperviselyApi | SuperviselyServer,
        video_id: int,
        *,
        session: aiohttp.ClientSession | None = None,
        read_timeout_seconds: float = 30.0,
        lookup_timeout_seconds: float = 330.0,
    ) -> None:
        self._api = api
        self._video_id = video_id
        self._session = session
        self._read_timeout_seconds = read_timeout_seconds
        self._lookup_timeout_seconds = lookup_timeout_seconds
        self._storage: HttpSource | None = None
        self._policies: list[Policy] = []
        self._opening = asyncio.Lock()

    def __repr__(self) -> str:
        return f"SuperviselySource({quoted(self.name)})"

    def __reduce__(self) -> tuple[Any, ...]:
        refuse_session(self._arguments[1].get("session"), self, "omit session=")
        return super().__reduce__()

    @property
    def name(self) -> str:
        return f"supervisely://{self._video_id}"

    @property
    def _schemes(self) -> tuple[str, ...]:
        return ("supervisely",)

    def _limit(self, policy: Policy) -> None:
        self._policies.append(policy)
        if self._storage is not None:
            self._storage._limit(replace(policy, schemes=None))

    @property
    def size(self) -> int | None:
        return None if self._storage is None else self._storage.size

    @property
    def validator(self) -> str | None:
        return None if self._storage is None else self._storage.validator

    async def open(self) -> None:
        await (await self._located()).open()

    async def read_range(self, start: int, stop: int) -> bytes:
        self.check_range(start, stop)
        return await (await self._located()).read_range(start, stop)

    async def receive_range(self, start: int, stop: int, arrived: Callable[[bytes], object]) -> None:
        self.check_range(start, stop)
        await (await self._located()).receive_range(start, stop, arrived)

    async def aclose(self) -> None:
        if self._is_forked:
            return
        self._closed = True
        if self._storage is not None:
            await self._storage.aclose()

    async def _located(self) -> HttpSource:
        self._bind_to_process()
        async with self._opening:
            self.check_open()
            if self._storage is None:
                info = await self._look_up()
                self.check_open()
                # Read only after the look-up: the SDK may change http to https on its first request.
                url = storage_url(info, server_address=self._api.server_address, name=self.name)
                storage = HttpSource(
                    url,
                    session=self._session,
                    headers=token_header(self._api.token),
                    read_timeout_seconds=self._read_timeout_seconds,
                )
                for policy in self._policies:
                    # The server's address is the caller's, whatever schemes others may use.
                    storage._limit(replace(policy, schemes=None))
                self._storage = storage
            return self._storage

    async def _look_up(self) -> Mapping[str, Any]:
        try:
            async with asyncio.timeout(self._lookup_timeout_seconds):
                if isinstance(self._api, SuperviselyServer):
                    return await self._api.video_info(self._video_id)
                return await self._ask_sdk(self._api)
        except SourceError:
            raise
        except TimeoutError as exc:
            raise SourceTimeoutError(
                f"the look-up of the video took longer than {self._lookup_timeout_seconds:g} s",
                source=self.name,
            ) from exc

    async def _ask_sdk(self, api: SuperviselyApi) -> Mapping[str, Any]:
        look_up = api.video.get_json_info_by_id
        try:
            info = await in_own_thread(look_up, self._video_id, force_metadata_for_links=False)
        except (OSError, RuntimeError) as exc:  # requests' errors are OSErrors
            error = lookup_error(exc, name=self.name)
            error.__cause__ = None if _tells(exc, api.token) else exc
        else:
            if info is not None:
                return info
            error = SourceNotFoundError("the server has no such video", source=self.name)
        raise error


def storage_url(info: Mapping[str, Any], *, server_address: str, name: str) -> str:
    """Return the address where a video is stored, on the public host of the server.

    Raises
    ------
    SourceNotReadyError
        The video is not stored yet.
    SourceAddressError
        The server's address, or the one that it returned, is invalid.
    """
    url = info.get(_STORAGE_URL)
    if not isinstance(url, str) or not url:
        raise SourceNotReadyError(
            f"the server returned no {_STORAGE_URL}: the video is not processed yet", source=name
        )
    server = _split(server_address, "the server_address of the API object", name=name)
    if server.scheme not in {"http", "https"} or not server.netloc:
        raise SourceAddressError(
            "the server_address of the API object is invalid: expected an http or https address", source=name
        )
    path = _split(url, f"the {_STORAGE_URL} that the server returned", name=name)
    return urlunsplit(path._replace(scheme=server.scheme, netloc=server.netloc))


def _split(url: str, what: str, *, name: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        raise SourceAddressError(f"{what} is malformed", source=name) from None


def lookup_error(exc: Exception, *, name: str) -> SourceError:
    """Translate an exception of the SDK, by its HTTP status: the SDK's own classes are not imported."""
    status = getattr(getattr(exc, "response", None), "status_code", None)
    if isinstance(status, int) and status >= 400:
        return status_error(status, {}, name=name)
    if isinstance(exc, TimeoutError):
        return SourceTimeoutError("the look-up of the video timed out", source=name)
    return SourceUnavailableError(f"the look-up of the video failed: {type(exc).__name__}", source=name)


def _tells(exc: BaseException, token: str | None) -> bool:
    """Return whether a traceback of this exception shows the token."""
    return token is not None and token != "" and token in "".join(traceback.format_exception(exc))
