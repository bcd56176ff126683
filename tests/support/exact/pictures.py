"""Decoded pictures as the decoder leaves them, before any conversion, and their MD5s."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame

from asyncframes._media.codec.decoder import Decoder
from asyncframes._media.codec.held import DoubtError
from asyncframes._media.codec.pictures import Picture
from asyncframes._media.container.opening import ContainerOptions
from asyncframes._media.files.media_files import DirectFile

THREADS = 2
"""Of the decoder, so that what threads change would show."""


def sequential_pictures(path: Path) -> Iterator[VideoFrame]:
    """Decode a file from its start with the library's decoder, past any damage."""
    with path.open("rb") as opened:
        file = DirectFile(opened, path.stat().st_size, path.name)
        options = ContainerOptions(stream_index=None, threads=THREADS, max_pixels=2**28)
        decoder = Decoder(file, options)
        try:
            shown = 0
            try:
                for frame in _pictures(decoder):
                    shown += 1
                    yield frame
            except DoubtError as doubt:
                decoder.fall_back_to_one_thread(doubt)
                yield from islice(_pictures(decoder), shown, None)
        finally:
            decoder.close()


def _pictures(decoder: Decoder) -> Iterator[VideoFrame]:
    return (output.frame for output in decoder.decode() if isinstance(output, Picture))


def picture_md5(frame: VideoFrame) -> str:
    """Hash a picture as FFmpeg's framemd5 muxer does: rows without padding, one plane after the other."""
    md5 = hashlib.md5(usedforsecurity=False)
    for number, plane in enumerate(frame.planes):
        parts = [part for part in frame.format.components if part.plane == number]
        row_bytes = parts[0].width * sum(-(-part.bits // 8) for part in parts)
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        md5.update(np.ascontiguousarray(rows[: parts[0].height, :row_bytes]).data)
    return md5.hexdigest()
