"""A video of a Supervisely server, by its number."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Mapping
from typing import Any, Protocol
from urllib.parse import SplitResult, urlsplit, urlunsplit

import aiohttp

from asyncframes._model.quoting import quoted
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
from asyncframes.sources._http.source import HttpSource
from asyncframes.sources._supervisely.server import SuperviselyServer, token_header

_STORAGE_URL = "fullStorageUrl"


class VideoApi(Protocol):
    """What is asked of the SDK's ``api.video``."""

    def get_json_info_by_id(
        self, video_id: int, /, *, force_metadata_for_links: bool
    ) -> Mapping[str, Any] | None:
        """Return what the server knows of a video, ``None`` where there is none."""
        ...


class SuperviselyApi(Protocol):
    """What is asked of the SDK's ``Api`` object; anything with these members will do."""

    @property
    def video(self) -> VideoApi:
        """Looks videos up."""
        ...

    @property
    def server_address(self) -> str:
        """Scheme and host of the server."""
        ...

    @property
    def token(self) -> str | None:
        """Sent as ``x-api-key``, to the server alone."""
        ...


class SuperviselySource(OneProcess, StreamSource):
    """A video of a Supervisely server.

    On opening, the server is asked once where the video is stored. Scheme and
    host of that address are replaced by the server's own, as the SDK does, and
    the rest is `HttpSource`. The token is sent to the server and, after a
    redirect, to no other host. When the address expires, reads fail: nothing is
    asked for again unless a new source is made.

    Parameters
    ----------
    api
        The SDK's ``Api`` object, or anything with its members
        ``video.get_json_info_by_id``, ``server_address`` and ``token``; or a
        `SuperviselyServer`, which needs no SDK. The SDK's look-up blocks, so it
        is called in a thread of its own.
    video_id
        Number of the video.
    session
        Used for the video's bytes and never closed; see `HttpSource`.
    read_timeout_seconds
        Longest wait for more bytes.
    lookup_timeout_seconds
        Longest wait for the look-up. The SDK, which has no timeout, tries ten
        times over 303 seconds; its thread lives on until it gives up.
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
        self._opening = asyncio.Lock()

    def __repr__(self) -> str:
        return f"SuperviselySource({quoted(self.name)})"

    @property
    def name(self) -> str:
        return f"supervisely://{self._video_id}"

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
                # Only now: the SDK may turn http into https on its first request.
                url = storage_url(info, server_address=self._api.server_address, name=self.name)
                self._storage = HttpSource(
                    url,
                    session=self._session,
                    headers=token_header(self._api.token),
                    read_timeout_seconds=self._read_timeout_seconds,
                )
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
                f"the server did not say within {self._lookup_timeout_seconds:g} s where the video is stored",
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
            error = SourceNotFoundError("the server knows no such video", source=self.name)
        raise error


def storage_url(info: Mapping[str, Any], *, server_address: str, name: str) -> str:
    """Find where a video is stored, as seen from outside.

    Raises
    ------
    SourceNotReadyError
        It is nowhere yet.
    SourceAddressError
        The server's address is none, or the one it gives cannot be read.
    """
    url = info.get(_STORAGE_URL)
    if not isinstance(url, str) or not url:
        raise SourceNotReadyError(
            f"the server gives no {_STORAGE_URL}: the video is not processed yet", source=name
        )
    server = _split(server_address, "the server_address of the API object", name=name)
    if server.scheme not in {"http", "https"} or not server.netloc:
        raise SourceAddressError(
            "the server_address of the API object is no http or https address", source=name
        )
    path = _split(url, f"the {_STORAGE_URL} that the server gives", name=name)
    return urlunsplit(path._replace(scheme=server.scheme, netloc=server.netloc))


def _split(url: str, what: str, *, name: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        raise SourceAddressError(f"{what} cannot be read", source=name) from None


def lookup_error(exc: Exception, *, name: str) -> SourceError:
    """Translate what the SDK raised; it is told apart by the HTTP status, since nothing of it is imported."""
    status = getattr(getattr(exc, "response", None), "status_code", None)
    if isinstance(status, int) and status >= 400:
        return status_error(status, {}, name=name)
    if isinstance(exc, TimeoutError):
        return SourceTimeoutError("the look-up of the video timed out", source=name)
    return SourceUnavailableError(f"the look-up of the video failed: {type(exc).__name__}", source=name)


def _tells(exc: BaseException, token: str | None) -> bool:
    """Whether a traceback of this exception would show the token."""
    return token is not None and token != "" and token in "".join(traceback.format_exception(exc))
