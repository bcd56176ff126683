"""Caches between the server and its clients: entity tags, and how long an answer stays fresh."""

from __future__ import annotations

import re

from asyncframes.web._limits import WebLimits
from asyncframes.web._open.opened import Opened
from asyncframes.web._problems import ProblemError
from asyncframes.web._query import VERSION
from asyncframes.web._values import Reply, WebRequest

_IDENTITY = {"authorization", "cookie"}
_YEAR = 365 * 24 * 3600
_TAG = re.compile(r'(?:W/)?("[^"]*")')


def caching_headers(
    request: WebRequest, tag: str | None, limits: WebLimits, *, is_private: bool
) -> dict[str, str]:
    """Return the headers that say how long an answer may be kept.

    An answer to a request that names the version of the video never changes. One to a client that says
    who it is may be for it alone, whatever checks that.
    """
    if tag is None:
        return {"Cache-Control": "no-store"}
    is_private = is_private or not _IDENTITY.isdisjoint(request.headers)
    scope = "private" if is_private else "public"
    if VERSION in request.query:
        return {"ETag": tag, "Cache-Control": f"{scope}, max-age={_YEAR}, immutable"}
    return {"ETag": tag, "Cache-Control": f"{scope}, max-age={int(limits.fresh_seconds)}, must-revalidate"}


def is_unchanged(request: WebRequest, tag: str | None) -> bool:
    """Whether the client has the answer of this tag."""
    wanted = request.headers.get("if-none-match")
    if tag is None or wanted is None:
        return False
    return wanted.strip() == "*" or tag in _TAG.findall(wanted)


def check_version(request: WebRequest, opened: Opened) -> None:
    """Refuse a request for another version of the video.

    Raises
    ------
    ProblemError
        The video's bytes are others than those that the request asks for.
    """
    wanted = request.query.get(VERSION)
    if wanted is not None and wanted != opened.version:
        raise ProblemError(410, "this version of the video is gone: ask for its info, and use its validator")


def unchanged(headers: dict[str, str]) -> Reply:
    """Return the answer for a client that has it already."""
    return Reply(status=304, headers=headers)
