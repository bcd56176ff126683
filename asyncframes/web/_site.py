"""The application without a framework: from a request to an answer."""

from __future__ import annotations

import asyncio
import json
import logging
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any, TypeAlias

from asyncframes._model.options import OpenOptions
from asyncframes._opening import open_video
from asyncframes._policy.policy import Policy
from asyncframes._policy.processes import most_processes
from asyncframes._runtime.tasks import awaited, begin
from asyncframes._runtime.threads import wait_until_done
from asyncframes._video import Video
from asyncframes.abc import StreamSource
from asyncframes.errors import (
    AsyncFramesError,
    DecoderCrashedError,
    SourceChangedError,
    SourceError,
    SourceTimeoutError,
    SourceUnavailableError,
)
from asyncframes.sources import FFmpegUrlSource, SourceLike
from asyncframes.sources._registry import admitted_source
from asyncframes.web._caching import caching_headers, check_version, is_unchanged, unchanged
from asyncframes.web._limits import WebLimits
from asyncframes.web._metrics import Metrics
from asyncframes.web._open.opened import Opened, tag_of, version_of
from asyncframes.web._open.videos import OpenVideos
from asyncframes.web._page import Page
from asyncframes.web._problems import ProblemError
from asyncframes.web._steps import Steps
from asyncframes.web._turns import Turns
from asyncframes.web._values import Reply, WebRequest

Resolve: TypeAlias = Callable[[str], "SourceLike | Awaitable[SourceLike | None] | None"]
"""From a name in a URL to a source, or ``None`` if there is no such video; may be a coroutine function."""

Auth: TypeAlias = Callable[[WebRequest], "bool | Awaitable[bool]"]
"""Whether a request is allowed; may be a coroutine function."""

ListVideos: TypeAlias = Callable[[], "Sequence[str] | Awaitable[Sequence[str]]"]
"""Names of the videos that the page lists; may be a coroutine function."""

logger = logging.getLogger("asyncframes.web")

# A client that has left is noticed within this time.
_LOOK_SECONDS = 0.2

_PICTURE_CACHE_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteOptions:
    """What the caller decides; see `frame_app`."""

    resolve: Resolve
    policy: Policy | None
    limits: WebLimits
    auth: Auth | None
    videos: ListVideos | None
    open_options: OpenOptions


def site_options(
    resolve: Resolve,
    *,
    policy: Policy | None,
    limits: WebLimits | None,
    auth: Auth | None,
    videos: ListVideos | None,
    open_options: OpenOptions | None,
) -> SiteOptions:
    """Check what the caller decides.

    Raises
    ------
    ValueError
        An option is not for servers.
    """
    options = open_options or {}
    if refused := sorted({"policy", "seek_mode", "frame_table"} & options.keys()):
        raise ValueError(f"open_options has {', '.join(refused)}: expected options for all videos alike")
    return SiteOptions(
        resolve=resolve,
        policy=policy,
        limits=limits or WebLimits(),
        auth=auth,
        videos=videos,
        # Images that are made ahead take the place of most pictures.
        open_options={"picture_cache_bytes": _PICTURE_CACHE_BYTES, **options, "policy": policy},
    )


class Site:
    """What all requests share. It belongs to one event loop."""

    def __init__(self, options: SiteOptions) -> None:
        self.options = options
        self.limits = options.limits
        self.turns = Turns(options.limits)
        processes = most_processes(options.open_options)
        # Videos that wait for a process keep no turns from those that have one.
        self._openings = Turns(options.limits) if processes else self.turns
        # One that is idle keeps its process from those that wait.
        most_open = min(self.limits.max_open_videos, processes or self.limits.max_open_videos)
        self.videos = OpenVideos(self._open, self._is_current, options.limits, most_open)
        self.steps = Steps(self.turns, self.videos.held, options.limits.max_kept_bytes)
        self.metrics = Metrics(self.videos, self.turns)
        self.page = Page()
        self.closing = asyncio.Event()

    @property
    def is_private(self) -> bool:
        """Whether answers are for one client alone, so that no shared cache may keep them."""
        return self.options.auth is not None

    async def aclose(self) -> None:
        """End streams, and close all videos."""
        self.closing.set()
        await self.steps.aclose()
        await self.videos.aclose()

    async def listed(self) -> list[str]:
        """Return the names of the videos that the page lists."""
        if self.options.videos is None:
            return []
        return [*await _of_caller(self.options.videos, "videos")]

    async def check_access(self, request: WebRequest) -> None:
        """Refuse a request that the caller's `auth` does not allow.

        Raises
        ------
        ProblemError
            It is not allowed.
        """
        auth = self.options.auth
        if auth is not None and not await _of_caller(auth, "auth", request):
            raise ProblemError(403, "this request is not allowed")

    async def with_video(self, request: WebRequest, parts: Mapping[str, str], handler: Handler) -> Reply:
        """Answer a request from its video. If the video has changed meanwhile, it is opened again once."""
        try:
            return await self._with_open(request, parts, handler)
        except SourceChangedError:
            return await self._with_open(request, parts, handler)

    async def _with_open(self, request: WebRequest, parts: Mapping[str, str], handler: Handler) -> Reply:
        async with AsyncExitStack() as stack:
            opened = await stack.enter_async_context(self.videos.lent(request.video_id or ""))
            check_version(request, opened)
            try:
                reply = await handler(Ask(self, opened, request, parts))
            except (SourceChangedError, DecoderCrashedError):
                self.videos.forget(opened)
                raise
            if not isinstance(reply.body, bytes):
                # What makes the pieces ends before the video is given back.
                stack.push_async_exit(reply.held)
                reply.held = stack.pop_all()
            return reply

    async def _source(self, video_id: str) -> StreamSource | FFmpegUrlSource | None:
        source = await _of_caller(self.options.resolve, "resolve", video_id)
        return None if source is None else admitted_source(source, self.options.policy or Policy.trusted())

    async def _open(self, video_id: str) -> Opened:
        source = await self._source(video_id)
        if source is None:
            raise ProblemError(404, "there is no video of this name")
        async with self._openings.turn():
            video = await open_video(source, **self.options.open_options)
        return Opened(video_id, source, video, version_of(source))

    async def _is_current(self, opened: Opened) -> bool:
        """Whether the name still leads to the same bytes; always, without a validator."""
        if opened.version is None:
            return True
        source = await self._source(opened.video_id)
        if source is opened.source:
            return True
        if not isinstance(source, StreamSource):
            return False
        source._limit(self.options.policy or Policy.trusted())
        try:
            async with source:
                return version_of(source) == opened.version
        except (SourceUnavailableError, SourceTimeoutError):
            # What was read is still right, as far as anybody can tell.
            return True
        except SourceError:
            return False


@dataclass(frozen=True, slots=True)
class Ask:
    """A request about an open video.

    Attributes
    ----------
    site
        What all requests share.
    opened
        The open video.
    request
        The request.
    parts
        What the path says besides the video's name.
    """

    site: Site
    opened: Opened
    request: WebRequest
    parts: Mapping[str, str]

    @property
    def limits(self) -> WebLimits:
        """What an answer may cost."""
        return self.site.limits

    @property
    def video(self) -> Video:
        """The open video."""
        return self.opened.video

    def caching(self, tag: str | None) -> dict[str, str]:
        """Return the headers that say how long an answer may be kept."""
        return caching_headers(self.request, tag, self.limits, is_private=self.site.is_private)

    def json(self, value: object) -> Reply:
        """Return an answer in JSON, which is known by its content."""
        body = json.dumps(value, allow_nan=False, separators=(",", ":")).encode("ascii")
        return self.content(body, "application/json")

    def content(self, body: bytes, content_type: str) -> Reply:
        """Return a whole answer, which is known by its content."""
        tag = None if self.opened.version is None else tag_of(self.opened.version, body)
        headers = {"Content-Type": content_type, **self.caching(tag)}
        return unchanged(headers) if is_unchanged(self.request, tag) else Reply(headers=headers, body=body)


Handler: TypeAlias = Callable[[Ask], Awaitable[Reply]]
"""Answers a request about an open video."""


async def _of_caller(function: Callable[..., Any], name: str, *arguments: object) -> Any:
    """Call a function of the caller.

    Raises
    ------
    ProblemError
        It failed. The log has the place, and not the text, which may contain an address.
    """
    try:
        outcome = function(*arguments)
        return await outcome if isawaitable(outcome) else outcome
    except AsyncFramesError:
        raise
    except Exception as exc:  # noqa: BLE001 - any function of the caller
        log_failure(exc, name)
        raise ProblemError(500, "the server failed") from None


def log_failure(exc: BaseException, what: str) -> None:
    """Log an unexpected error by its type and place. Its text may contain a secret."""
    places = "".join(traceback.format_tb(exc.__traceback__))
    logger.error("%s raised %s\n%s", what, type(exc).__name__, places.rstrip())


async def watched(work: Awaitable[Reply], is_gone: Callable[[], bool]) -> Reply | None:
    """Do work for a client; cancel it and return ``None`` if the client leaves."""
    task = begin(awaited(work), "asyncframes answer")
    try:
        if await _ends_before(task, is_gone):
            return task.result()
    except asyncio.CancelledError:
        await _discard(task)
        raise
    await _discard(task)
    return None


async def _ends_before(task: asyncio.Future[Any], is_gone: Callable[[], bool]) -> bool:
    """Wait for a task, and return whether it ended before the client left."""
    while not task.done():
        await asyncio.wait({task}, timeout=_LOOK_SECONDS)
        if not task.done() and is_gone():
            return False
    return True


async def _discard(task: asyncio.Future[Reply]) -> None:
    """Cancel work whose answer nobody waits for, and release what a finished answer holds."""
    task.cancel()
    await wait_until_done(task)
    if not task.cancelled() and task.exception() is None:
        async with task.result():
            pass


async def next_piece(body: AsyncGenerator[bytes, None], is_gone: Callable[[], bool]) -> bytes | None:
    """Return the next piece of a body; ``None`` after the last one, or if the client leaves meanwhile."""
    task = begin(awaited(anext(body, None)), "asyncframes piece of an answer")
    try:
        return task.result() if await _ends_before(task, is_gone) else None
    finally:
        task.cancel()
        await wait_until_done(task)
