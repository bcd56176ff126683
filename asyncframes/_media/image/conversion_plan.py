"""The steps from a decoded picture to an array."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias, cast

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

from asyncframes._media.image.pooled import PooledScale
from asyncframes._model.timing import Orientation
from asyncframes._types import Image

Step: TypeAlias = Callable[[VideoFrame], VideoFrame]

FAST = int(Interpolation.BICUBIC)
"""Flags of swscale that leave its special converters in."""

ACCURATE = int(
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
    | Interpolation.BITEXACT
)
"""Flags of swscale for the same bits on every processor, with all of the chroma."""

NATIVE = "le" if sys.byteorder == "little" else "be"
"""How names of pixel formats with more than 8 bits end."""


@dataclass(slots=True)
class ConversionPlan:
    """How pictures of one layout, size and set of tags become arrays.

    Attributes
    ----------
    steps
        Conversions by swscale or a filter, in order.
    to_alpha
        Converts a picture whose luma is the opacity to gray.
    orientation
        How the stored picture is turned upright.
    stretch
        Maps white to 65535 in 16 bits, if swscale leaves it below.
    pooled
        Does the same as `steps`, faster for many images.
    planar
        Whether the array contains the planes of the converted picture.
    packed
        Shape of the array, if it has the same bytes as the converted picture.
    cut
        Takes a part of the upright array; ``None`` for all of it.
    """

    steps: tuple[Step, ...]
    to_alpha: Step
    orientation: Orientation
    stretch: Callable[[Image], Image] | None = None
    pooled: PooledScale | None = None
    planar: bool = False
    packed: tuple[int, ...] | None = None
    cut: Callable[[Image], Image] | None = None

    def __call__(self, picture: VideoFrame, alpha: VideoFrame | None, *, pooled: bool, owned: bool) -> Image:
        if self.cut is None:
            return self._uncut(picture, alpha, pooled=pooled, owned=owned)
        part = self.cut(self._uncut(picture, alpha, pooled=pooled, owned=False))
        # A copy, because a view would keep the memory of the whole image.
        return np.array(part, order="C") if owned else part

    def _uncut(self, picture: VideoFrame, alpha: VideoFrame | None, *, pooled: bool, owned: bool) -> Image:
        # The pooled filter refuses some colours. The steps convert anything that swscale can.
        decoded = picture
        picture = (self._by_filter(picture) if pooled else None) or self._by_steps(picture)
        if self.planar:
            return _i420_of(picture, partial(_upright, orientation=self.orientation))
        if self.packed is not None and alpha is None:
            # A plane keeps its picture alive, so the array can share its memory, unless rows are padded.
            data = memoryview(picture.planes[0])
            if data.nbytes == math.prod(self.packed):
                return np.ndarray(self.packed, np.uint8, data)
        # A view of the decoded picture itself would keep that alive, and the decoder may reuse its memory.
        if not owned and alpha is None and self.stretch is None and picture is not decoded:
            return _upright(_view_of(picture), self.orientation)
        pixels = cast("Image", picture.to_ndarray())
        if self.stretch is not None:
            pixels = self.stretch(pixels)
        if alpha is not None:
            pixels[..., 3] = self.to_alpha(alpha).to_ndarray()
        upright = _upright(pixels, self.orientation)
        return np.ascontiguousarray(upright) if owned else upright

    def _by_steps(self, picture: VideoFrame) -> VideoFrame:
        for step in self.steps:
            picture = step(picture)
        return picture

    def _by_filter(self, picture: VideoFrame) -> VideoFrame | None:
        """Convert by the filter, unless there is none or it refuses the colours."""
        if self.pooled is None:
            return None
        try:
            return self.pooled(picture)
        except (av.FFmpegError, ValueError):
            self.pooled = None
            return None


def scale_step(
    size: tuple[int, int],
    target: str,
    flags: int = ACCURATE,
    *,
    matrix: int | None = None,
    source_range: int | None = None,
    to_matrix: int | None = None,
) -> Step:
    return partial(
        VideoReformatter().reformat,
        width=size[0],
        height=size[1],
        format=target,
        src_colorspace=matrix,
        dst_colorspace=matrix if to_matrix is None else to_matrix,
        interpolation=flags,
        src_color_range=source_range,
        dst_color_range=ColorRange.JPEG,
        # swscale's own threads cost three times as much on small frames.
        threads=1,
    )


def fill_range(pixels: Image, *, shift: int) -> Image:
    """Stretch 16-bit values in place from white at 65535 less its 2**-shift part."""
    np.minimum(pixels, 65535 - (65535 >> shift), out=pixels)
    pixels += pixels >> shift
    return pixels


def repeat_bytes(pixels: Image) -> Image:
    """Widen 8 bits to 16: 255 becomes 65535."""
    return np.multiply(pixels, 257, dtype=np.uint16)


def _view_of(picture: VideoFrame) -> Image:
    """Return the pixels of a packed picture, whose rows may be padded, without a copy."""
    plane, name = picture.planes[0], picture.format.name
    dtype = np.dtype(np.uint16 if "16" in name or "48" in name else np.uint8)
    channels = picture.format.padded_bits_per_pixel // (8 * dtype.itemsize)
    shape: tuple[int, ...] = (picture.height, picture.width)
    strides: tuple[int, ...] = (plane.line_size, channels * dtype.itemsize)
    if channels > 1:
        shape, strides = (*shape, channels), (*strides, dtype.itemsize)
    return np.ndarray(shape, dtype, memoryview(plane), strides=strides)


def _upright(pixels: Image, orientation: Orientation) -> Image:
    if orientation.transpose:
        pixels = pixels.swapaxes(0, 1)
    if orientation.flip_x:
        pixels = pixels[:, ::-1]
    if orientation.flip_y:
        pixels = pixels[::-1]
    return pixels


def _i420_of(picture: VideoFrame, turned: Callable[[Image], Image]) -> Image:
    """Put the planes of 8-bit 4:2:0 below each other; sides are even.

    Parameters
    ----------
    turned
        Turns a plane upright.
    """
    luma, *chroma = (turned(_pixels(plane)) for plane in picture.planes)
    height, width = luma.shape
    image = np.empty((height * 3 // 2, width), np.uint8)
    image[:height] = luma
    for place, plane in zip(image[height:].reshape(2, height // 2, width // 2), chroma, strict=True):
        place[:] = plane
    return image


def _pixels(plane: VideoPlane) -> Image:
    lines: Image = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    return lines[:, : plane.width]
