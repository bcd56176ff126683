"""Decoded pictures to arrays."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import TypeAlias, cast

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from asyncframes._media.image.interlaced import WholePictures
from asyncframes._media.image.layout import (
    depth_of,
    has_alpha,
    is_full_range,
    is_gray,
    is_rgb,
    matrix_used,
    orientation_of,
)
from asyncframes._media.image.pooled import PooledScale, is_worth_pooling
from asyncframes._media.image.tone import ToneMapper
from asyncframes._model.color import MATRIX_NUMBERS, hdr_of, is_as_in_jpeg
from asyncframes._model.rendering import Rendering
from asyncframes._model.timing import Orientation
from asyncframes._types import Image
from asyncframes.errors import UnsupportedMediaError

Step: TypeAlias = Callable[[VideoFrame], VideoFrame]

_FAST = int(Interpolation.BICUBIC)
_ACCURATE = int(
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
    | Interpolation.BITEXACT
)

# swscale has special converters from these to packed RGB, at their own size and with an even height: some
# seven times as fast as its scaler, with the nearest chroma sample and up to three levels off. Their targets
# follow, with the bytes of a pixel.
_FAST_FORMATS = {"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuva420p"}
_GRAYS = {"gray", "gray16"}
_CHANNELS = {"rgb24": 3, "bgr24": 3, "rgba": 4, "gray": 1}

_NATIVE = "le" if sys.byteorder == "little" else "be"
_NAMES = {"rgb48": f"rgb48{_NATIVE}", "gray16": f"gray16{_NATIVE}", "i420": "yuvj420p"}

# The scaler writes planes with SIMD and packed pixels without; by way of planes, bit for bit the same
# comes out in half the time.
_PLANES = {"rgb24": "gbrp", "bgr24": "gbrp", "rgba": "gbrp", "rgb48": f"gbrp16{_NATIVE}"}


class Converter:
    """Turns decoded pictures into upright arrays of one kind.

    What to do is worked out anew only where a picture differs from the one
    before in layout, size or tags. swscale runs in the thread that calls: its
    own threads cost three times as much on small frames.
    """

    def __init__(self, rendering: Rendering, pixel_shape: Fraction, source: str) -> None:
        self.rendering = rendering
        self._pixel_shape = pixel_shape
        self._source = source
        self._facts: tuple[object, ...] = ()
        self._rotation: int | None = None
        self._orientation = Orientation()
        self._tone_mapper = ToneMapper()
        self._whole = WholePictures()
        self._is_first = True

    def rest(self) -> None:
        """Let go of memory between requests."""
        self._is_first = True
        if self._facts and self._way.pooled is not None:
            self._way.pooled.rest()

    def __call__(self, picture: VideoFrame, alpha: VideoFrame | None = None) -> Image:
        """Return the picture as a C-contiguous array that the caller owns.

        Parameters
        ----------
        picture
            What the decoder put out.
        alpha
            A picture whose luma is the opacity, for codecs that keep it apart.

        Raises
        ------
        UnsupportedMediaError
            FFmpeg has no way from this layout or these colours to what was asked.
        """
        facts = (
            picture.format.name,
            picture.width,
            picture.height,
            picture.colorspace,
            picture.color_range,
            picture.color_primaries,
            picture.color_trc,
            picture.rotation,
        )
        if facts != self._facts:
            self._way = self._find_way(picture)
            self._whole = WholePictures()
            self._facts = facts
        # A filter does not pay for one image.
        pooled, self._is_first = not self._is_first, False
        try:
            return self._way(self._whole(picture), alpha, pooled=pooled)
        except av.FFmpegError as exc:
            what = f"{picture.format.name} {picture.width}x{picture.height}"
            message = f"no conversion of {what} to {self.rendering.image_format}: {exc.strerror}"
            raise UnsupportedMediaError(message, source=self._source) from exc

    def _find_way(self, picture: VideoFrame) -> _Way:
        orientation = self._orientation_of(picture)
        size = self._stored_size(picture, orientation)
        to_alpha = _step(size, "gray", source_range=ColorRange.JPEG)
        if self.rendering.tone_map and hdr_of(picture.color_trc) is not None:
            return _Way((self._tone_mapping(picture, size),), to_alpha, orientation)
        if self._is_fast(picture, size):
            matrix = self._matrix_number(picture)
            channels = _CHANNELS[self.rendering.image_format]
            pooled = None
            if is_worth_pooling(size[0] * channels, size[1]):
                pooled = PooledScale(self._target, _FAST, matrix)
            step = _step(size, self._target, _FAST, matrix=matrix)
            shape = (size[1], size[0]) if channels == 1 else (size[1], size[0], channels)
            packed = shape if orientation == Orientation() else None
            return _Way((step,), to_alpha, orientation, pooled=pooled, packed=packed)
        if self.rendering.image_format == "i420":
            self._refuse_odd(size)
            steps = [] if self._is_i420(picture, size) else self._steps(picture, size)
            return _Way(tuple(steps), to_alpha, orientation, planar=True)
        steps, stretch = self._steps(picture, size), self._stretch(picture)
        return _Way(tuple(steps), to_alpha, orientation, stretch=stretch)

    def _refuse_odd(self, size: tuple[int, int]) -> None:
        if size[0] % 2 or size[1] % 2:
            raise UnsupportedMediaError(
                f"i420 holds even widths and heights, not {size[0]}x{size[1]}; resize= makes them so",
                source=self._source,
            )

    def _is_i420(self, picture: VideoFrame, size: tuple[int, int]) -> bool:
        """Whether the planes are those asked for, as they are."""
        if is_rgb(picture.format) or size != (picture.width, picture.height):
            return False
        full = is_full_range(picture)
        return is_as_in_jpeg(picture.format.name, self._matrix(picture), is_full_range=full)

    def _is_fast(self, picture: VideoFrame, size: tuple[int, int]) -> bool:
        """Whether swscale has a special converter, and its pixels are wanted."""
        return (
            picture.format.name in _FAST_FORMATS
            and size == (picture.width, picture.height)
            and size[1] % 2 == 0
            and self.rendering.image_format in _CHANNELS
            and not self.rendering.accurate_color
        )

    def _orientation_of(self, picture: VideoFrame) -> Orientation:
        """Read the matrix only where the cheaper angle says that it is another one."""
        if self.rendering.autorotate and picture.rotation != self._rotation:
            self._rotation = picture.rotation
            self._orientation = orientation_of(picture)
        return self._orientation

    def _stored_size(self, picture: VideoFrame, orientation: Orientation) -> tuple[int, int]:
        """Size before the picture is turned upright."""
        if not orientation.transpose:
            return self.rendering.size_of(picture.width, picture.height, self._pixel_shape)
        height, width = self.rendering.size_of(picture.height, picture.width, 1 / self._pixel_shape)
        return width, height

    def _steps(self, picture: VideoFrame, size: tuple[int, int]) -> list[Step]:
        layout = picture.format
        if is_rgb(layout) and self.rendering.image_format == "rgb48" and depth_of(layout) == 8:
            # swscale would take the way by YUV of 8 bits.
            return [_step(size, "rgb24")]
        if is_rgb(layout) and size == (picture.width, picture.height):
            return [_step(size, self._target)]
        matrix = None if is_rgb(layout) else self._matrix_number(picture)
        steps: list[Step] = []
        source_range = None
        if is_gray(layout) and picture.color_range == ColorRange.MPEG:
            # swscale takes all gray for full range, whatever its tag; as the luma of YUV the tag counts. The
            # matrix says nothing there, but one other than swscale's default would take the way by RGB.
            luma = f"yuv444p{depth_of(layout)}{_NATIVE}" if depth_of(layout) > 8 else "yuv444p"
            stored = picture.width, picture.height
            steps.append(_step(stored, luma, matrix=Colorspace.DEFAULT, source_range=ColorRange.JPEG))
            source_range = ColorRange.MPEG
        planes = _PLANES.get(self.rendering.image_format)
        if planes == "gbrp" and self.rendering.image_format == "rgba" and has_alpha(layout):
            planes = "gbrap"
        to_matrix = MATRIX_NUMBERS["bt601"] if self.rendering.image_format == "i420" else matrix
        step = _step(
            size, planes or self._target, matrix=matrix, source_range=source_range, to_matrix=to_matrix
        )
        steps.append(step)
        return steps if planes is None else [*steps, _step(size, self._target)]

    @property
    def _target(self) -> str:
        return _NAMES.get(self.rendering.image_format, self.rendering.image_format)

    def _matrix(self, picture: VideoFrame) -> str:
        wanted = self.rendering.color_matrix
        matrix = matrix_used(picture) if wanted == "auto" else wanted
        if matrix not in MATRIX_NUMBERS:
            raise UnsupportedMediaError(
                f"no conversion from colour matrix {picture.colorspace} of ITU-T H.273; "
                "color_matrix= names another to use in its place",
                source=self._source,
            )
        return matrix

    def _matrix_number(self, picture: VideoFrame) -> int:
        if self.rendering.image_format in _GRAYS:
            # Luma is what is asked for, and under swscale's default on both sides no matrix touches it.
            return int(Colorspace.DEFAULT)
        return MATRIX_NUMBERS[self._matrix(picture)]

    def _stretch(self, picture: VideoFrame) -> Callable[[Image], Image] | None:
        """Return what makes white 65535, where swscale leaves it below."""
        if self.rendering.image_format != "rgb48":
            return None
        depth = depth_of(picture.format)
        if is_rgb(picture.format):
            return _repeat_bytes if depth == 8 else None
        return partial(_fill_range, shift=depth if is_full_range(picture) else 8)

    def _tone_mapping(self, picture: VideoFrame, size: tuple[int, int]) -> Step:
        return partial(self._tone_mapper, size=size, target=self._target, matrix=self._matrix(picture))


@dataclass(slots=True)
class _Way:
    """From pictures of one kind to arrays."""

    steps: tuple[Step, ...]
    to_alpha: Step
    orientation: Orientation
    stretch: Callable[[Image], Image] | None = None
    pooled: PooledScale | None = None
    """What does the same as the steps, for images in large numbers."""
    planar: bool = False
    """Whether the array is to hold the planes of the converted picture."""
    packed: tuple[int, ...] | None = None
    """Shape of the array, where it is what the converted picture holds, byte for byte."""

    def __call__(self, picture: VideoFrame, alpha: VideoFrame | None, *, pooled: bool) -> Image:
        converted = self._by_filter(picture) if pooled else None
        picture = converted or self._by_steps(picture)
        if self.planar:
            return i420_of(picture, partial(_upright, orientation=self.orientation))
        if self.packed is not None and alpha is None:
            data = memoryview(picture.planes[0])
            if data.nbytes == math.prod(self.packed):
                return np.ndarray(self.packed, np.uint8, data)
        pixels = cast("Image", picture.to_ndarray())
        if self.stretch is not None:
            pixels = self.stretch(pixels)
        if alpha is not None:
            pixels[..., 3] = self.to_alpha(alpha).to_ndarray()
        return np.ascontiguousarray(_upright(pixels, self.orientation))

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


def _step(
    size: tuple[int, int],
    target: str,
    flags: int = _ACCURATE,
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
        threads=1,
    )


def _fill_range(pixels: Image, *, shift: int) -> Image:
    """Stretch 16-bit values in place from white at 65535 less its 2**-shift part."""
    np.minimum(pixels, 65535 - (65535 >> shift), out=pixels)
    pixels += pixels >> shift
    return pixels


def _repeat_bytes(pixels: Image) -> Image:
    """Widen 8 bits to 16: 255 becomes 65535."""
    return np.multiply(pixels, 257, dtype=np.uint16)


def _upright(pixels: Image, orientation: Orientation) -> Image:
    if orientation.transpose:
        pixels = pixels.swapaxes(0, 1)
    if orientation.flip_x:
        pixels = pixels[:, ::-1]
    if orientation.flip_y:
        pixels = pixels[::-1]
    return pixels


def i420_of(picture: VideoFrame, turned: Callable[[Image], Image]) -> Image:
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
