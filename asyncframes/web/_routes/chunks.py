"""Consecutive frames in one answer: as a zip of images that is not compressed, or as parts of one body."""

from __future__ import annotations

import zipfile
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from io import BytesIO
from secrets import token_hex

from asyncframes._frames.encoders import Encoder
from asyncframes._runtime.threads import in_thread, run_to_completion
from asyncframes._types import PictureOptions
from asyncframes.errors import FrameIndexError
from asyncframes.web._caching import is_unchanged, unchanged
from asyncframes.web._problems import ProblemError
from asyncframes.web._query import PICTURE, Query, integer
from asyncframes.web._routes.ahead import Ahead
from asyncframes.web._routes.facts import table_of
from asyncframes.web._routes.frames import CONTENT_TYPES, encoder_of, headers_of
from asyncframes.web._routes.multipart import Multipart
from asyncframes.web._site import Ask
from asyncframes.web._values import Reply

_ZIP = "application/zip"
_MULTIPART = "multipart/mixed"

_SIZE = 32

# Zip files have no times before this, and an answer for the same frames has the same bytes.
_TIME = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Which frames are asked for, both inclusive, and how each becomes an image."""

    first: int
    last: int
    ext: str
    encode: Encoder
    options: PictureOptions


@dataclass(frozen=True, slots=True)
class _Image:
    """An image file, and what headers say of its frame."""

    name: str
    body: bytes
    headers: dict[str, str]


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
    content_type = _MULTIPART if _MULTIPART in ask.request.headers.get("accept", "").lower() else _ZIP
    tag = ask.opened.tag("chunk", content_type, number, size, ext, sorted(options.items()), quality)
    headers = {"Content-Type": content_type, "Vary": "Accept", **ask.caching(tag)}
    if is_unchanged(ask.request, tag):
        return unchanged(headers)
    first, last = _bounds(number, size, len(await table_of(ask)))
    wanted = _Chunk(first, last, ext, await encoder_of(ext, quality), options)
    if content_type == _ZIP:
        return Reply(headers=headers, body=await _zip(ask, wanted))
    # The same answer has the same bytes, and no video can contain what depends on all of it.
    boundary = token_hex(12) if tag is None else tag.strip('"')
    headers["Content-Type"] = f"{_MULTIPART}; boundary={boundary}"
    return await _multipart(ask, wanted, Multipart(boundary), headers)


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


async def _images(ask: Ask, wanted: _Chunk) -> AsyncGenerator[_Image, None]:
    """Decode frames in one turn, and encode each as it comes.

    Raises
    ------
    ProblemError
        Their images have too many bytes.
    """
    left = most = ask.limits.max_chunk_bytes
    async with (
        ask.site.turns.turn(),
        aclosing(ask.video.frames(wanted.first, wanted.last, queue_maxsize=4, **wanted.options)) as frames,
    ):
        async for frame in frames:
            body = await run_to_completion(in_thread(None, wanted.encode, frame.image))
            left -= len(body)
            if left < 0:
                raise ProblemError(413, f"a chunk of more than {most} bytes: ask for fewer or smaller frames")
            yield _Image(f"{frame.index:06}.{wanted.ext}", body, headers_of(frame))


async def _zip(ask: Ask, wanted: _Chunk) -> bytes:
    async with aclosing(_images(ask, wanted)) as images:
        made = [image async for image in images]
    return await run_to_completion(in_thread(None, _zipped, made))


def _zipped(images: list[_Image]) -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for image in images:
            archive.writestr(zipfile.ZipInfo(image.name, _TIME), image.body)
    return file.getvalue()


async def _multipart(ask: Ask, wanted: _Chunk, multipart: Multipart, headers: dict[str, str]) -> Reply:
    """Return an answer once the first image is made, or its error; the others follow."""
    async with AsyncExitStack() as held:
        held.enter_context(ask.site.turns.stream())
        images = await held.enter_async_context(aclosing(Ahead(_images(ask, wanted))))
        first = await images.next()
        return Reply(headers=headers, body=_parts(first, images, multipart), held=held.pop_all())


async def _parts(
    image: _Image | None, images: Ahead[_Image], multipart: Multipart
) -> AsyncGenerator[bytes, None]:
    yield multipart.start
    while image is not None:
        disposition = f'attachment; filename="{image.name}"'
        kind = CONTENT_TYPES[image.name.rpartition(".")[2]]
        about = {"Content-Type": kind, "Content-Disposition": disposition, **image.headers}
        yield multipart.part(about, image.body)
        image = await images.next()
    yield multipart.end
