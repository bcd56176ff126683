"""Clips of flat colour patches, stored losslessly in any layout, and the RGB that they stand for."""

from __future__ import annotations

import io
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# ITU-R BT.601-7 2.5.1, BT.709-6 3.2, BT.2020-2 table 4: what red and blue add to luma.
RED_AND_BLUE = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}

# Numbers of ITU-T H.273.
SPACES = {"bt601": 6, "bt709": 1, "bt2020": 9, "untagged": 2}
RANGES = {"limited": 1, "full": 2, "untagged": 0}

PATCH = 16
GRID = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Patches:
    """A clip to make.

    Attributes
    ----------
    layout
        Pixel format with one luma plane first, as FFmpeg spells it.
    space, range_
        The tags, by the names of `SPACES` and `RANGES`.
    coded_space, coded_range
        What the values really are; by default what the tags say.
    transfer, primaries
        More tags, as numbers of H.273.
    width, height
        Size; the grid fills it.
    """

    layout: str = "yuv420p"
    space: str = "bt709"
    range_: str = "limited"
    coded_space: str | None = None
    coded_range: str | None = None
    transfer: int = 2
    primaries: int = 2
    width: int = PATCH * GRID
    height: int = PATCH * GRID

    def clip(self) -> bytes:
        """Encode one frame."""
        return _encode(self)

    @property
    def colours(self) -> Floats:
        """RGB from 0 to 1, a row a patch: the corners of the cube, grays, and random ones."""
        corners = [[r, g, b] for r in (0, 1) for g in (0, 1) for b in (0, 1)]
        grays = [[level / 7] * 3 for level in range(8)]
        random = np.random.default_rng(2020).random((GRID * GRID - 16, 3))
        chosen = np.vstack([corners, grays, random])
        gray: Floats = np.repeat(chosen.mean(axis=1, keepdims=True), 3, axis=1)
        return gray if self.is_gray else chosen

    @property
    def is_gray(self) -> bool:
        return self.layout.startswith("gray")

    def stored(self) -> NDArray[np.int64]:
        """Y, Cb and Cr of the patches as they are stored, rounded as any encoder must."""
        red, blue = RED_AND_BLUE[self.coded_space or self.space]
        r, g, b = self.colours.T
        luma = red * r + (1 - red - blue) * g + blue * b
        chroma = (b - luma) / (2 - 2 * blue), (r - luma) / (2 - 2 * red)
        scale, offset, half = self._quantisation()
        levels = [luma * scale[0] + offset, *(part * scale[1] + half for part in chroma)]
        rounded: NDArray[np.int64] = np.clip(np.round(levels), 0, 2 * half - 1).astype(np.int64)
        return rounded

    def expected(self) -> Floats:
        """RGB from 0 to 1 that the stored values stand for."""
        red, blue = RED_AND_BLUE[self.coded_space or self.space]
        scale, offset, half = self._quantisation()
        luma, cb, cr = self.stored().astype(np.float64)
        luma, cb, cr = (luma - offset) / scale[0], (cb - half) / scale[1], (cr - half) / scale[1]
        if self.is_gray:
            cb, cr = np.zeros_like(cb), np.zeros_like(cr)
        r, b = luma + (2 - 2 * red) * cr, luma + (2 - 2 * blue) * cb
        g = (luma - red * r - blue * b) / (1 - red - blue)
        colours: Floats = np.clip(np.stack([r, g, b], axis=-1), 0, 1)
        return colours

    def _quantisation(self) -> tuple[tuple[float, float], float, int]:
        bits = av.VideoFormat(self.layout, 16, 16).components[0].bits
        if (self.coded_range or self.range_) == "full":
            return (2**bits - 1, 2**bits - 1), 0, 2 ** (bits - 1)
        step = 2 ** (bits - 8)
        return (219 * step, 224 * step), 16 * step, 2 ** (bits - 1)


def middles(image: NDArray[Any]) -> Floats:
    """Return the middle pixel of each patch, a row a patch, where no chroma bleeds in from beside."""
    height, width = image.shape[:2]
    rows, columns = np.indices((GRID, GRID)).reshape(2, -1)
    picked = image[(2 * rows + 1) * height // (2 * GRID), (2 * columns + 1) * width // (2 * GRID)]
    return np.asarray(picked, np.float64)


@cache
def _encode(patches: Patches) -> bytes:
    frame = av.VideoFrame(patches.width, patches.height, patches.layout)
    for plane, levels in zip(frame.planes, patches.stored(), strict=False):
        dtype = np.uint8 if frame.format.components[0].bits == 8 else np.uint16
        stored = np.zeros((plane.height, plane.line_size // dtype().itemsize), dtype)
        rows = np.arange(plane.height) * GRID // plane.height
        columns = np.arange(plane.width) * GRID // plane.width
        stored[:, : plane.width] = levels.reshape(GRID, GRID)[rows[:, None], columns]
        plane.update(stored.tobytes())
    frame.colorspace, frame.color_range = SPACES[patches.space], RANGES[patches.range_]
    frame.color_trc, frame.color_primaries = patches.transfer, patches.primaries
    return lossless([frame])


def lossless(frames: list[av.VideoFrame], *, codec: str = "ffv1", container: str = "matroska") -> bytes:
    """Store frames losslessly, with the colour tags of the first."""
    first, file = frames[0], io.BytesIO()
    # One slice where there is no room for more.
    small = codec == "ffv1" and first.width * first.height < 64 * 64
    options = {"slices": "1", "level": "3"} if small else {}
    with av.open(file, "w", format=container) as writer:
        stream = writer.add_stream(codec, rate=25, options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = first.width, first.height, first.format.name
        encoder = stream.codec_context
        encoder.colorspace, encoder.color_range = first.colorspace, first.color_range
        encoder.color_trc, encoder.color_primaries = first.color_trc, first.color_primaries
        for number, frame in enumerate(frames):
            frame.pts, frame.time_base = number, Fraction(1, 25)
            writer.mux(stream.encode(frame))
        writer.mux(stream.encode())
    return file.getvalue()
