"""The facts that determine a saved frame: its source, and the options of its image."""

from __future__ import annotations

import asyncio
import hashlib
import os
from dataclasses import asdict
from typing import Any

from asyncframes._frames.encoders import without_dot
from asyncframes._model.options import SaveOptions, option
from asyncframes._model.rendering import Rendering
from asyncframes._requests.video_requests import VideoRequests
from asyncframes._types import ImageWriter
from asyncframes.sources import LocalSource
from asyncframes.sources._names import public_name

_PROBE_BYTES = 1 << 16


async def made_of(requests: VideoRequests, rendering: Rendering, options: SaveOptions) -> dict[str, Any]:
    """Collect the facts that identify the frames of a request.

    Returns
    -------
    dict of str to Any
        Plain JSON values, without secrets.
    """
    source = requests.input
    if type(source.source) is LocalSource:
        name = await asyncio.to_thread(name_of_file, source.name)
    else:
        name = public_name(source.name)
    rendered = {
        name: list(value) if isinstance(value, tuple) else value for name, value in asdict(rendering).items()
    }
    return {
        **facts_of_source(name, source.size, source.validator or await _checksum_of_ends(requests)),
        "stream_index": requests.info.stream_index,
        "seek_mode": requests.info.seek_mode,
        "ext": without_dot(option(options, "ext")).lower(),
        "quality": option(options, "quality"),
        "compression_level": option(options, "compression_level"),
        "image_writer": _name_of(option(options, "image_writer")),
        **rendered,
    }


def facts_of_source(name: str, size: int | None, validator: str | None) -> dict[str, Any]:
    """Return those facts that are of the source alone."""
    return {"source": name, "size": size, "validator": validator}


def name_of_file(path: str) -> str:
    """Return the name of a local file, which does not depend on the current directory."""
    return os.path.abspath(public_name(path))  # noqa: PTH100 - `Path` leaves ".." in


async def _checksum_of_ends(requests: VideoRequests) -> str | None:
    """Hash the first and last bytes of a source without a validator; ``None`` for a sequential one."""
    cached = requests.input.cached
    if cached is None or cached.size is None or requests.input.sequential is not None:
        return None
    head = 0, min(_PROBE_BYTES, cached.size)
    tail = max(head[1], cached.size - _PROBE_BYTES), cached.size
    ends = await cached.read_ranges([head, tail] if tail[0] < tail[1] else [head])
    digest = await asyncio.to_thread(hashlib.blake2b, b"".join(ends), digest_size=16)
    return digest.hexdigest()


def _name_of(image_writer: ImageWriter | None) -> str | None:
    if image_writer is None:
        return None
    name = getattr(image_writer, "__qualname__", type(image_writer).__qualname__)
    return f"{image_writer.__module__}.{name}"
