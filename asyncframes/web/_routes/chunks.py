"""Consecutive frames in one answer, as a zip of images that is not compressed."""

from __future__ import annotations

import zipfile
from contextlib import aclosing
from io import BytesIO

from asyncframes._frames.encoders import Encoder
from asyncframes._runtime.threads import in_thread, run_to_completion
from asyncframes._types import PictureOptions
from asyncframes._video import Video
from asyncframes.errors import FrameIndexError
from asyncframes.web._caching import is_unchanged, unchanged
from asyncframes.web._problems import ProblemError
from asyncframes.web._query import PICTURE, Query, integer
from asyncframes.web._routes.facts import table_of
from asyncframes.web._routes.frames import CONTENT_TYPES, encoder_of
from asyncframes.web._site import Ask
from asyncframes.web._values import Reply

_SIZE = 32

# Zip files have no times before this, and an answer for the same frames has the same bytes.
_TIME = (1980, 1, 1, 0, 0, 0)


async def chunk(ask: Ask) -> Reply:
    """Answer with the frames from ``n * size`` on, up to `size` of them."""
    query = Query(ask.request, "size", "ext", *PICTURE)
    size = query.integer("size", least=1) or _SIZE
    number, ext, quality = (
        integer(ask.parts["number"], "chunk"),
        query.text("ext") or "jpg",
        query.quality(),
    )
    options = query.picture(ask.video.info)
    if size > ask.limits.max_chunk_frames:
        raise ProblemError(413, f"size={size}: expected at most {ask.limits.max_chunk_frames} frames")
    if ext not in CONTENT_TYPES:
        raise ValueError(f"ext: expected one of {', '.join(CONTENT_TYPES)}")
    tag = ask.opened.tag("chunk", number, size, ext, sorted(options.items()), quality)
    headers = {"Content-Type": "application/zip", **ask.caching(tag)}
    if is_unchanged(ask.request, tag):
        return unchanged(headers)
    first, last = _bounds(number, size, len(await table_of(ask)))
    async with ask.site.turns.turn():
        encode = await encoder_of(ext, quality)
        images = await _images(ask.video, first, last, options, encode, ask.limits.max_chunk_bytes)
        body = await run_to_completion(in_thread(None, _zipped, images, ext))
    return Reply(headers=headers, body=body)


def _bounds(number: int, size: int, length: int) -> tuple[int, int]:
    """Return the first and last frame of a chunk, both inclusive.

    Raises
    ------
    FrameIndexError
        There is no such chunk.
    """
    first = number * size
    if first >= length:
        raise FrameIndexError(
            f"chunk {number} of {size} frames is out of range: the video has {length} frames",
            index=first,
            length=length,
        )
    return first, min(first + size, length) - 1


async def _images(
    video: Video, first: int, last: int, options: PictureOptions, encode: Encoder, max_bytes: int
) -> dict[int, bytes]:
    """Decode frames, and encode each as it comes.

    Raises
    ------
    ProblemError
        Their images have too many bytes.
    """
    images: dict[int, bytes] = {}
    left = max_bytes
    async with aclosing(video.frames(first, last, queue_maxsize=4, **options)) as frames:
        async for frame in frames:
            images[frame.index] = body = await run_to_completion(in_thread(None, encode, frame.image))
            left -= len(body)
            if left < 0:
                raise ProblemError(
                    413, f"a chunk of more than {max_bytes} bytes: ask for fewer or smaller frames"
                )
    return images


def _zipped(images: dict[int, bytes], ext: str) -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for index, body in images.items():
            archive.writestr(zipfile.ZipInfo(f"{index:06}.{ext}", _TIME), body)
    return file.getvalue()
