"""One exact frame as an image."""

from __future__ import annotations

from functools import partial

from asyncframes._frames.encoders import Encoder, encoder_for
from asyncframes._frames.frame import Frame
from asyncframes._runtime.threads import in_thread
from asyncframes.web._caching import is_unchanged, unchanged
from asyncframes.web._query import PICTURE, Query, integer, seconds
from asyncframes.web._routes.facts import table_of
from asyncframes.web._site import Ask
from asyncframes.web._steps import Encoded, Picture
from asyncframes.web._values import Reply

CONTENT_TYPES = {
    "jpg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "avif": "image/avif",
}

_encoders: dict[tuple[str, int | None], Encoder] = {}


async def encoder_of(ext: str, quality: int | None) -> Encoder:
    """Return the encoder for images, which are known to have the option.

    Raises
    ------
    ValueError
        The format has no such option, or it is out of range.
    """
    key = (ext, quality)
    if key not in _encoders:
        # A trial run of an encoder costs as much as a small image, and some import Pillow first.
        _encoders[key] = await in_thread(None, partial(encoder_for, ext, quality=quality))
    return _encoders[key]


async def by_index(ask: Ask) -> Reply:
    """Answer with the frame at an index; negative indices count from the end."""
    return await _frame(ask, integer(ask.parts["index"], "index"))


async def by_time(ask: Ask) -> Reply:
    """Answer with the frame that is shown at a time."""
    at = seconds(ask.parts["seconds"], "seconds")
    return await _frame(ask, (await table_of(ask)).index_at(at))


async def _frame(ask: Ask, index: int) -> Reply:
    query = Query(ask.request, *PICTURE)
    options = query.picture(ask.video.info)
    quality, ext = query.quality(), ask.parts["ext"]
    tag = ask.opened.tag("frame", index, ext, sorted(options.items()), quality)
    headers = ask.caching(tag)
    if is_unchanged(ask.request, tag):
        return unchanged(headers)
    encode = await encoder_of(ext, quality)
    made = await ask.site.steps.frame(
        ask.opened,
        index,
        Picture(ext, quality, tuple(sorted(options.items()))),
        lambda frame: Encoded(encode(frame.image), headers_of(frame)),
    )
    return Reply(headers={"Content-Type": CONTENT_TYPES[ext], **headers, **made.headers}, body=made.body)


def headers_of(frame: Frame) -> dict[str, str]:
    """Return what the headers say of a frame."""
    headers = {"X-Frame-Index": str(frame.index), "X-Frame-Keyframe": str(int(frame.is_keyframe))}
    if frame.pts_seconds is not None:
        headers["X-Frame-Pts-Seconds"] = repr(frame.pts_seconds)
    return headers
