"""Frames as bytes, with their images in the shared memory."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from asyncframes._frames.frame import Frame
from asyncframes._isolation.wire.messages import MalformedError
from asyncframes._model.rendering import Rendering
from asyncframes._types import Image

_FRAME = struct.Struct("<qqqqdQBBBxIIII")
_HAS_PTS, _IS_KEYFRAME, _IS_CORRUPT, _HAS_DURATION = 1, 2, 4, 8
_MOST_FRAMES = 4096


@dataclass(frozen=True, slots=True)
class FrameRecord:
    """A frame whose image is in the shared memory.

    Attributes
    ----------
    facts
        Everything but its image.
    offset
        Where the image is.
    shape
        Its shape.
    image
        A copy of it, ``None`` while it is in the shared memory.
    """

    facts: dict[str, Any]
    offset: int
    shape: tuple[int, ...]
    image: Image | None = None


def record_of(frame: Frame, offset: int) -> bytes:
    """Return a frame as bytes, with the place of its image in the shared memory."""
    flags = (
        _HAS_PTS * (frame.pts is not None)
        + _IS_KEYFRAME * frame.is_keyframe
        + _IS_CORRUPT * frame.is_corrupt
        + _HAS_DURATION * (frame.duration_seconds is not None)
    )
    shape = frame.image.shape
    return _FRAME.pack(
        frame.index,
        frame.pts or 0,
        frame.time_base.numerator,
        frame.time_base.denominator,
        frame.duration_seconds or 0.0,
        offset,
        flags,
        frame.image.itemsize,
        len(shape),
        *shape,
        *(0,) * (4 - len(shape)),
    )


def records_from(data: bytes, rendering: Rendering) -> Iterator[FrameRecord]:
    """Return the frames that `record_of` turned into bytes.

    Raises
    ------
    MalformedError
        They are no frames, or their images are not as requested.
    """
    count, rest = divmod(len(data), _FRAME.size)
    if rest or not 0 < count <= _MOST_FRAMES:
        raise MalformedError("frames are cut short, or are too many")
    for index, pts, over, under, seconds, offset, flags, itemsize, ndim, *sides in _FRAME.iter_unpack(data):
        shape = tuple(sides[:ndim])
        if itemsize != rendering.dtype.itemsize or not _is_of_format(shape, rendering):
            raise MalformedError(f"an image of shape {shape} is not {rendering.image_format}")
        if index < 0 or under <= 0 or over <= 0 or not math.isfinite(seconds):
            raise MalformedError("a frame has an impossible index, time base or duration")
        facts = {
            "index": index,
            "pts": pts if flags & _HAS_PTS else None,
            "time_base": Fraction(over, under),
            "is_keyframe": bool(flags & _IS_KEYFRAME),
            "is_corrupt": bool(flags & _IS_CORRUPT),
            "duration_seconds": seconds if flags & _HAS_DURATION else None,
            "image_format": rendering.image_format,
        }
        yield FrameRecord(facts, offset, shape)


def _is_of_format(shape: tuple[int, ...], rendering: Rendering) -> bool:
    if not all(shape):
        return False
    if rendering.image_format == "i420" or rendering.channels == 1:
        return len(shape) == 2
    return len(shape) == 3 and shape[2] == rendering.channels
