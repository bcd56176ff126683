"""The values that users hold: frames and what is known of a video."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Image: TypeAlias = NDArray[np.uint8]
"""``uint8``; ``(height, width, channels)``, or ``(height, width)`` for gray."""

ImageFormat: TypeAlias = Literal["rgb24", "bgr24", "gray", "rgba"]
"""Layout of `Frame.image`, as FFmpeg spells it."""

TimeRange: TypeAlias = tuple[float | Fraction | None, float | Fraction | None]
"""From and up to, in seconds; ``None`` for an open end."""

OnCorrupt: TypeAlias = Literal["raise", "skip", "keep"]
"""What to do at damage: raise, leave the frame out, or yield what the decoder made of it."""

SeekMode: TypeAlias = Literal["exact", "approximate"]
"""How frames are found: by a table of the stream's packets, or by index over average rate."""

Overwrite: TypeAlias = Literal["error", "skip", "replace"]
"""What to do where a frame's file is already there."""

ProgressCallback: TypeAlias = Callable[[int], Awaitable[None] | None]
"""Called with 1 after each frame is stored; may be a coroutine function."""

ImageWriter: TypeAlias = Callable[[str, Image], Awaitable[None] | None]
"""Stores an image at a path; may be a coroutine function."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One decoded frame.

    Attributes
    ----------
    index
        Place in presentation order, from 0: the i-th frame that a sequential
        decode of the whole stream puts out.
    image
        ``uint8``, C-contiguous, upright, owned by the caller. Shape
        ``(height, width, 3)`` for ``rgb24`` and ``bgr24``, ``(height, width, 4)``
        for ``rgba``, ``(height, width)`` for ``gray``.
    pts
        Presentation time in ticks of `time_base`; ``None`` where the container
        gives none.
    time_base
        Seconds per tick.
    is_keyframe
        Whether the frame decodes alone.
    is_corrupt
        Whether the decoder marked it as damaged (only with ``on_corrupt="keep"``).
    """

    index: int
    image: Image
    pts: int | None
    time_base: Fraction
    is_keyframe: bool = False
    is_corrupt: bool = False

    @property
    def pts_seconds(self) -> float | None:
        """Presentation time in seconds, for people; look frames up by `index` or `pts`."""
        return None if self.pts is None else float(self.pts * self.time_base)


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What the container and the decoder say of a video.

    Attributes
    ----------
    width, height
        Size of `Frame.image`, after rotation.
    coded_width, coded_height
        Size as stored, before rotation.
    rotation
        Degrees counterclockwise, one of 0, 90, 180, 270, that the display
        matrix asks for; already applied to frames.
    mirrored
        Whether the display matrix also mirrors; already applied to frames.
    average_rate
        Frames per second; may vary inside. ``None`` when unknown.
    time_base
        Seconds per tick of `Frame.pts`.
    codec, pixel_format
        As FFmpeg spells them.
    container
        Name of FFmpeg's demuxer.
    sample_aspect_ratio
        Shape of a pixel, width over height; reported, not applied.
    duration_seconds_from_header, frames_from_header
        Claims of the container, ``None`` where it makes none; `Video.count`
        gives the exact number.
    color_space, color_range, color_primaries, color_transfer
        As numbers of ITU-T H.273; 2 means unspecified. `color_range` is
        ``"limited"``, ``"full"`` or ``"unspecified"``.
    stream_index
        Which stream of the container is decoded.
    size_bytes
        Size of the source, ``None`` while unknown.
    seek_mode
        How frames are found. With ``"approximate"``, `Frame.index` is what was
        asked for, which need not be the frame's place.
    """

    width: int
    height: int
    coded_width: int
    coded_height: int
    rotation: int
    mirrored: bool
    average_rate: Fraction | None
    time_base: Fraction
    codec: str
    pixel_format: str
    container: str
    sample_aspect_ratio: Fraction
    duration_seconds_from_header: float | None
    frames_from_header: int | None
    color_space: int
    color_range: Literal["limited", "full", "unspecified"]
    color_primaries: int
    color_transfer: int
    stream_index: int
    size_bytes: int | None
    seek_mode: SeekMode = "exact"

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON: fractions become ``"num/den"`` text."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {
            name: f"{value.numerator}/{value.denominator}" if isinstance(value, Fraction) else value
            for name, value in values.items()
        }
