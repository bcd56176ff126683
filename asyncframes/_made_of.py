"""What makes frames on disk what they are: the source, and the options that shape pictures."""

from __future__ import annotations

import asyncio
import hashlib
import os
from dataclasses import asdict
from typing import Any

from asyncframes._model.rendering import make_rendering
from asyncframes._types import ImageFormat, ImageWriter, PictureOptions
from asyncframes._video import Video
from asyncframes.sources import LocalSource
from asyncframes.sources._forward.sequential import passing
from asyncframes.sources._names import public_name

_PROBE_BYTES = 1 << 16


async def made_of(
    video: Video,
    *,
    image_format: ImageFormat,
    picture: PictureOptions,
    ext: str,
    quality: int | None,
    compression_level: int | None,
    image_writer: ImageWriter | None,
) -> dict[str, Any]:
    """Collect the facts by which a frame on disk is known to be one that a request would make.

    Returns
    -------
    dict of str to Any
        Plain JSON values, without secrets.
    """
    source = video._cached
    name = public_name(source.name)
    if isinstance(video._source, LocalSource):
        name = await asyncio.to_thread(os.path.abspath, name)
    rendering = asdict(make_rendering(image_format, picture))
    return {
        "source": name,
        "size": source.size,
        "validator": source.validator or await _checksum_of_ends(video),
        "stream_index": video.info.stream_index,
        "seek_mode": video.info.seek_mode,
        "ext": ext.removeprefix(".").lower(),
        "quality": quality,
        "compression_level": compression_level,
        "image_writer": _name_of(image_writer),
    } | {option: list(value) if isinstance(value, tuple) else value for option, value in rendering.items()}


async def _checksum_of_ends(video: Video) -> str | None:
    """Hash the first and last bytes of a source without a validator, ``None`` where they come once."""
    source = video._cached
    if source.size is None or passing(video._source) is not None:
        return None
    head = 0, min(_PROBE_BYTES, source.size)
    tail = max(head[1], source.size - _PROBE_BYTES), source.size
    ends = await source.read_ranges([head, tail] if tail[0] < tail[1] else [head])
    digest = await asyncio.to_thread(hashlib.blake2b, b"".join(ends), digest_size=16)
    return digest.hexdigest()


def _name_of(image_writer: ImageWriter | None) -> str | None:
    if image_writer is None:
        return None
    name = getattr(image_writer, "__qualname__", type(image_writer).__qualname__)
    return f"{image_writer.__module__}.{name}"
