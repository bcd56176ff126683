"""The bytes of a source, whole or by range."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import AsyncGenerator
from urllib.parse import quote

from asyncframes.abc import StreamSource
from asyncframes.web._caching import is_unchanged, unchanged
from asyncframes.web._problems import ProblemError
from asyncframes.web._query import Query
from asyncframes.web._site import Ask
from asyncframes.web._values import Reply

_PIECE_BYTES = 256 * 1024
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


async def original(ask: Ask) -> Reply:
    """Answer with the bytes, if the limits allow it."""
    Query(ask.request)
    source = ask.opened.source
    if not ask.limits.allow_original:
        raise ProblemError(403, "this server does not serve whole videos")
    if not isinstance(source, StreamSource) or source.size is None:
        raise ProblemError(404, "this video has no bytes of a known length")
    tag = ask.opened.tag("original")
    headers = _headers(ask, tag)
    if is_unchanged(ask.request, tag):
        return unchanged(headers)
    wanted = _wanted(ask, tag, source.size)
    start, stop = wanted or (0, source.size)
    if wanted:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{source.size}"
    reply = Reply(status=206 if wanted else 200, headers=headers, length=stop - start)
    reply.held.enter_context(ask.site.turns.stream())
    reply.body = _pieces(ask, source, start, stop)
    return reply


def _headers(ask: Ask, tag: str | None) -> dict[str, str]:
    name = ask.opened.video_id.rpartition("/")[2]
    return {
        "Content-Type": mimetypes.guess_type(name)[0] or "application/octet-stream",
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
        "Accept-Ranges": "bytes",
        **ask.caching(tag),
    }


async def _pieces(ask: Ask, source: StreamSource, start: int, stop: int) -> AsyncGenerator[bytes, None]:
    while start < stop and not ask.site.closing.is_set():
        end = min(stop, start + _PIECE_BYTES)
        yield await source.read_range(start, end)
        start = end


def _wanted(ask: Ask, tag: str | None, size: int) -> tuple[int, int] | None:
    """Return the one range that is asked for, half-open; ``None`` for the whole.

    Raises
    ------
    ProblemError
        The range is past the end.
    """
    headers = ask.request.headers
    found = _RANGE.fullmatch(headers.get("range", "").replace(" ", ""))
    if found is None or found[0] == "bytes=-" or headers.get("if-range", tag) != tag:
        return None
    first, last = found.groups()
    start = int(first) if first else max(0, size - int(last))
    stop = min(size, int(last) + 1) if first and last else size
    if first and last and int(last) < start:
        return None
    if start >= stop:
        raise ProblemError(416, "the range is past the end", headers={"Content-Range": f"bytes */{size}"})
    return start, stop
