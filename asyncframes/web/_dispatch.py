"""Which handler answers which path, and how errors become answers."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias
from urllib.parse import unquote

from asyncframes.errors import ClosedError
from asyncframes.web._page import INDEX
from asyncframes.web._problems import ProblemError, problem_of, reply_of
from asyncframes.web._routes import chunks, facts, frames, mjpeg, original, sheets
from asyncframes.web._site import Handler, Site, log_failure, watched
from asyncframes.web._values import Reply, WebRequest

_IMAGE = rf"(?P<ext>{'|'.join(frames.CONTENT_TYPES)})"

VIDEO_ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("info", r"info", facts.info),
    ("table", r"table", facts.table),
    ("keyframes", r"keyframes", facts.keyframes),
    ("stats", r"stats", facts.stats),
    ("frames", rf"frames/(?P<index>-?[0-9]+)\.{_IMAGE}", frames.by_index),
    ("at", rf"at/(?P<seconds>[^/]+)\.{_IMAGE}", frames.by_time),
    ("chunks", r"chunks/(?P<number>[0-9]+)", chunks.chunk),
    ("sprites", r"sprites\.jpg", sheets.sprites),
    ("sprites", r"sprites\.vtt", sheets.sprites_vtt),
    ("sheet", rf"sheet\.{_IMAGE}", sheets.sheet),
    ("mjpeg", r"mjpeg", mjpeg.mjpeg),
    ("original", r"original", original.original),
)
"""For metrics, the rest of the path below ``/v/{id}/``, and what answers."""

_PATTERNS = [(name, re.compile(pattern), handler) for name, pattern, handler in VIDEO_ROUTES]
_VIDEO = re.compile(r"/v/(?P<id>[^/]+)/(?P<rest>.+)")
_ALWAYS = {"X-Content-Type-Options": "nosniff"}

Work: TypeAlias = Callable[[], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Found:
    """What answers a request.

    Attributes
    ----------
    name
        Name of the route.
    request
        The request, with the name of its video.
    work
        Makes the answer.
    """

    name: str
    request: WebRequest
    work: Work


async def answer(site: Site, request: WebRequest, is_gone: Callable[[], bool]) -> Reply | None:
    """Answer a request; ``None`` if the client has left.

    Parameters
    ----------
    site
        What all requests share.
    request
        The request.
    is_gone
        Whether the client has left. Its work is then cancelled.
    """
    began = time.monotonic()
    name = "none"
    try:
        found = find(site, request)
        name = found.name
        reply = await _found_answer(site, found, is_gone)
    except Exception as exc:  # noqa: BLE001 - every error becomes an answer
        reply = reply_of(_problem(site, exc, request))
    if reply is not None:
        reply.headers |= _ALWAYS
        site.metrics.count(name, reply.status, time.monotonic() - began)
    return reply


async def _found_answer(site: Site, found: Found, is_gone: Callable[[], bool]) -> Reply | None:
    request = found.request
    if request.method not in {"GET", "HEAD"}:
        raise ProblemError(405, "only GET and HEAD are allowed", headers={"Allow": "GET, HEAD"})
    with site.turns.of_client(request.client):
        await site.check_access(request)
        async with asyncio.timeout(site.limits.request_seconds):
            return await watched(found.work(), is_gone)


def find(site: Site, request: WebRequest) -> Found:
    """Find what answers a request.

    Raises
    ------
    ProblemError
        Nothing does.
    """
    match = _VIDEO.fullmatch(request.path)
    if match is None:
        return _find_other(site, request)
    request = replace(request, video_id=unquote(match["id"], errors="strict"))
    for name, pattern, handler in _PATTERNS:
        if parts := pattern.fullmatch(unquote(match["rest"])):
            return Found(name, request, _video_work(site, request, parts.groupdict(), handler))
    raise ProblemError(404, "there is no such address")


def _video_work(site: Site, request: WebRequest, parts: Mapping[str, str], handler: Handler) -> Work:
    return lambda: site.with_video(request, parts, handler)


def _find_other(site: Site, request: WebRequest) -> Found:
    path = request.path
    if path == "/healthz":
        return Found("healthz", request, lambda: _health(site))
    if path == "/metrics":
        return Found("metrics", request, site.metrics.reply)
    if path == "/videos":
        return Found("videos", request, lambda: _videos(site))
    if path in {"/", ""}:
        return Found("page", request, lambda: site.page.reply(request, INDEX))
    if path.startswith("/page/"):
        name = unquote(path.removeprefix("/page/"))
        return Found("page", request, lambda: site.page.reply(request, name))
    raise ProblemError(404, "there is no such address")


async def _health(site: Site) -> Reply:
    if site.closing.is_set():
        raise ProblemError(503, "the server is closing")
    return Reply(headers=_plain("text/plain"), body=b"ok\n")


async def _videos(site: Site) -> Reply:
    videos = [{"id": name, "title": name} for name in await site.listed()]
    return Reply(headers=_plain("application/json"), body=json.dumps({"videos": videos}).encode("ascii"))


def _plain(content_type: str) -> dict[str, str]:
    return {"Content-Type": content_type, "Cache-Control": "no-store"}


def _problem(site: Site, exc: Exception, request: WebRequest) -> ProblemError:
    if isinstance(exc, ClosedError) and site.closing.is_set():
        return ProblemError(503, "the server is closing", code="ClosedError", headers={"Retry-After": "1"})
    problem = problem_of(exc)
    if problem is None:
        log_failure(exc, request.method)
        problem = ProblemError(500, "the server failed", code=type(exc).__name__)
    return problem
