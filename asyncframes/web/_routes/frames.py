"""One exact frame as an image."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from asyncframes._frames.encoders import Encoder, encoder_for
from asyncframes._frames.frame import Frame
from asyncframes._runtime.threads import in_thread, run_to_completion
from asyncframes.web._caching import is_unchanged, unchanged
from asyncframes.web._query import PICTURE, Query, integer, seconds
from asyncframes.web._site import Ask
from asyncframes.web._values import Reply

CONTENT_TYPES = {
    "jpg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "avif": "image/avif",
}

# A trial run of an encoder costs as much as a small image.
encoder: Callable[[str, int | None], Encoder] = lru_cache(maxsize=512)(
    lambda ext, quality: encoder_for(ext, quality=quality)
)


async def by_index(ask: Ask) -> Reply:
    """Answer with the frame at an index; negative indices count from the end."""
    return await _frame(ask, integer(ask.parts["index"], "index"))


async def by_time(ask: Ask) -> Reply:
    """Answer with the frame that is shown at a time."""
    at = seconds(ask.parts["seconds"], "seconds")
    async with ask.site.turns.turn():
        table = await ask.video.frame_table()
    return await _frame(ask, table.index_at(at))


async def _frame(ask: Ask, index: int) -> Reply:
    query = Query(ask.request, *PICTURE)
    options = query.picture(ask.video.info)
    quality, ext = query.integer("quality"), ask.parts["ext"]
    tag = ask.opened.tag("frame", index, ext, sorted(options.items()), quality)
    headers = ask.caching(tag)
    if is_unchanged(ask.request, tag):
        return unchanged(headers)
    async with ask.site.turns.turn():
        encode = await in_thread(None, encoder, ext, quality)
        frame = await ask.video.frame(index, **options)
        body = await run_to_completion(in_thread(None, encode, frame.image))
    return Reply(headers={"Content-Type": CONTENT_TYPES[ext], **headers, **headers_of(frame)}, body=body)


def headers_of(frame: Frame) -> dict[str, str]:
    """Return what the headers say of a frame."""
    headers = {"X-Frame-Index": str(frame.index), "X-Frame-Keyframe": str(int(frame.is_keyframe))}
    if frame.pts_seconds is not None:
        headers["X-Frame-Pts-Seconds"] = repr(frame.pts_seconds)
    return headers
