"""Converts decoded pictures to arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import partial

import av
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace

from asyncframes._media.image.conversion_plan import (
    FAST,
    NATIVE,
    ConversionPlan,
    Step,
    fill_range,
    repeat_bytes,
    scale_step,
)
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
from asyncframes._media.image.region import StoredRegion, as_stored, cut_pixels, cut_planes, opacity_of
from asyncframes._media.image.tone import ToneMapper
from asyncframes._model.color import MATRIX_NUMBERS, hdr_of, is_as_in_jpeg
from asyncframes._model.rendering import Framing, Rendering, Size
from asyncframes._model.timing import Orientation
from asyncframes._types import Image
from asyncframes.errors import UnsupportedMediaError

# swscale has special converters from these formats to packed RGB, for unscaled pictures of even height. They
# are about seven times as fast as its scaler, but take the nearest chroma sample and are off by up to three
# levels.
_FAST_FORMATS = {"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuva420p"}
_FAST_TARGETS = {"rgb24", "bgr24", "rgba", "gray"}
_GRAYS = {"gray", "gray16"}

# For these remainders of the width by 16, the special converter to rgba leaves the last columns unwritten
# (docs/upstream.md).
_UNWRITTEN_RGBA = {1, 2, 3, 4}

_NAMES = {"rgb48": f"rgb48{NATIVE}", "gray16": f"gray16{NATIVE}", "i420": "yuvj420p"}

# The scaler has SIMD code for planar output only. Going through planes gives the same bits in half the time.
_PLANES = {"rgb24": "gbrp", "bgr24": "gbrp", "rgba": "gbrp", "rgb48": f"gbrp16{NATIVE}"}

UNPOOLED_BYTES = 4 * 1024 * 1024
"""Bytes of images that swscale makes alone: setting up a filter takes longer than a few small images."""


class Converter:
    """Converts decoded pictures to upright arrays of one kind.

    The plan is reused until a picture differs from the one before in layout, size or
    tags. swscale runs in the calling thread.
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
        self._converted_bytes = 0

    def rest(self) -> None:
        """Release memory between requests."""
        # The filter's pool may hold large images, and a video that is only open should not keep them.
        self._converted_bytes = 0
        if self._facts and self._plan.pooled is not None:
            self._plan.pooled.rest()

    def __call__(self, picture: VideoFrame, alpha: VideoFrame | None = None, *, owned: bool = True) -> Image:
        """Return the picture as an array.

        Parameters
        ----------
        picture
            The picture from the decoder.
        alpha
            A picture whose luma is the opacity, for codecs that store it separately.
        owned
            Whether the array is C-contiguous and the caller's own. If not, it may be a view of a
            picture's memory, which saves a copy where the caller copies it anyway.

        Raises
        ------
        UnsupportedMediaError
            FFmpeg cannot convert this layout or these colours to the requested format.
        CropError
            The crop reaches outside the upright image.
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
        pooled = self._converted_bytes >= UNPOOLED_BYTES
        try:
            # A stream may change any of these between two pictures. A plan is reused until one does, because
            # creating an swscale context costs more than converting a small picture.
            if facts != self._facts:
                self._plan = self._plan_for(picture)
                self._whole = WholePictures()
                self._facts = facts
            image = self._plan(self._whole(picture), alpha, pooled=pooled, owned=owned)
        except av.FFmpegError as exc:
            what = f"{picture.format.name} {picture.width}x{picture.height}"
            message = f"FFmpeg cannot convert {what} to {self.rendering.image_format}: {exc.strerror}"
            raise UnsupportedMediaError(message, source=self._source) from exc
        except OverflowError as exc:
            message = "FFmpeg cannot make an image of this size: expected sides to 2147483647"
            raise UnsupportedMediaError(message, source=self._source) from exc
        self._converted_bytes += image.nbytes
        return image

    def _plan_for(self, picture: VideoFrame) -> ConversionPlan:
        orientation = self._orientation_of(picture)
        framing = self.rendering.stored_framing_of(
            picture.width, picture.height, self._pixel_shape, turned=orientation.transpose
        )
        if framing.is_cut and not self._is_of_whole(framing):
            return self._plan_for_region(picture, framing, orientation)
        size = _turned(framing.whole if framing.is_cut else framing.size, orientation)
        # The opacity is the luma of a separate picture, and all of its values count, whatever its range tag.
        to_alpha = scale_step(size, "gray", source_range=ColorRange.JPEG)
        plan = self._plan_scaling(picture, size, to_alpha, orientation)
        if framing.is_cut:
            cut = cut_planes if plan.planar else cut_pixels
            plan.cut = partial(cut, region=framing.region)
        return plan

    def _is_of_whole(self, framing: Framing) -> bool:
        """Whether the image is a part of the whole image, bit for bit."""
        numbers = *framing.whole, *framing.region
        is_odd = self.rendering.image_format == "i420" and any(number % 2 for number in numbers)
        return not framing.is_scaled and not is_odd

    def _plan_for_region(
        self, picture: VideoFrame, framing: Framing, orientation: Orientation
    ) -> ConversionPlan:
        """Plan for a part that is taken before the conversion."""
        whole, size = _turned(framing.whole, orientation), _turned(framing.size, orientation)
        region = as_stored(framing.region, framing.whole, orientation)
        take = StoredRegion(picture, region, whole)
        to_alpha = opacity_of(region, whole, size)
        plan = self._plan_scaling(take(picture), size, to_alpha, orientation)
        # White depends on the bits of the picture itself, also where the region has more.
        stretch = None if plan.stretch is None else self._stretch(picture)
        return replace(plan, steps=(take, *plan.steps), stretch=stretch)

    def _plan_scaling(
        self, picture: VideoFrame, size: Size, to_alpha: Step, orientation: Orientation
    ) -> ConversionPlan:
        if self.rendering.tone_map and hdr_of(picture.color_trc) is not None:
            return ConversionPlan((self._tone_mapping(picture, size),), to_alpha, orientation)
        if self._is_fast(picture, size):
            return self._fast_plan(picture, size, to_alpha, orientation)
        if self.rendering.image_format == "i420":
            self._refuse_odd(size)
            steps = [] if self._is_i420(picture, size) else self._steps(picture, size)
            return ConversionPlan(tuple(steps), to_alpha, orientation, planar=True)
        steps, stretch = self._steps(picture, size), self._stretch(picture)
        return ConversionPlan(tuple(steps), to_alpha, orientation, stretch=stretch)

    def _fast_plan(
        self, picture: VideoFrame, size: Size, to_alpha: Step, orientation: Orientation
    ) -> ConversionPlan:
        matrix = self._matrix_number(picture)
        # The pooled filter runs the same swscale converter on reused memory, so it gives the same bits.
        pooled = None
        if is_worth_pooling(size[0] * self.rendering.channels, size[1]):
            pooled = PooledScale(self._target, FAST, matrix)
        step = scale_step(size, self._target, FAST, matrix=matrix)
        # Turning an image copies it anyway, so only an upright one can share the memory of its picture.
        packed = self.rendering.shape_of(size) if orientation == Orientation() else None
        return ConversionPlan((step,), to_alpha, orientation, pooled=pooled, packed=packed)

    def _refuse_odd(self, size: Size) -> None:
        if size[0] % 2 or size[1] % 2:
            raise UnsupportedMediaError(
                f"i420 needs an even width and height, not {size[0]}x{size[1]}: "
                "pass multiple_of=2, or crop= or resize= with even sides",
                source=self._source,
            )

    def _is_i420(self, picture: VideoFrame, size: Size) -> bool:
        """Whether the decoded planes already are the requested ones."""
        if is_rgb(picture.format) or size != (picture.width, picture.height):
            return False
        full = is_full_range(picture)
        return is_as_in_jpeg(picture.format.name, self._matrix(picture), is_full_range=full)

    def _is_fast(self, picture: VideoFrame, size: Size) -> bool:
        """Whether swscale has a special converter, and its accuracy is enough."""
        return (
            picture.format.name in _FAST_FORMATS
            and size == (picture.width, picture.height)
            and size[1] % 2 == 0
            and self.rendering.image_format in _FAST_TARGETS
            and not self.rendering.accurate_color
            and not (self.rendering.image_format == "rgba" and size[0] % 16 in _UNWRITTEN_RGBA)
        )

    def _orientation_of(self, picture: VideoFrame) -> Orientation:
        """Read the display matrix only if the angle, which is cheaper to read, has changed."""
        if self.rendering.autorotate and picture.rotation != self._rotation:
            self._rotation = picture.rotation
            self._orientation = orientation_of(picture)
        return self._orientation

    def _steps(self, picture: VideoFrame, size: Size) -> list[Step]:
        layout = picture.format
        if is_rgb(layout) and self.rendering.image_format == "rgb48" and depth_of(layout) == 8:
            # In one step swscale would go through 8-bit YUV and lose levels.
            return [scale_step(size, "rgb24")]
        stored = picture.width, picture.height
        if layout.name.startswith("bayer") and self.rendering.image_format == "i420":
            # In one step swscale gives wrong luma (docs/upstream.md).
            to_planes = scale_step(size, self._target, to_matrix=MATRIX_NUMBERS["bt601"])
            return [scale_step(stored, "rgb24"), to_planes]
        # Unscaled RGB goes straight to the target: a detour through planes speeds up only the scaler.
        if is_rgb(layout) and size == stored:
            return [scale_step(size, self._target)]
        matrix = None if is_rgb(layout) else self._matrix_number(picture)
        steps: list[Step] = []
        source_range = None
        if is_gray(layout) and picture.color_range == ColorRange.MPEG:
            # swscale treats all gray as full range, whatever its tag; for the luma of YUV the tag counts.
            # No matrix touches luma, but one other than swscale's default would force a pass through RGB.
            luma = f"yuv444p{depth_of(layout)}{NATIVE}" if depth_of(layout) > 8 else "yuv444p"
            steps.append(scale_step(stored, luma, matrix=Colorspace.DEFAULT, source_range=ColorRange.JPEG))
            source_range = ColorRange.MPEG
        planes = _PLANES.get(self.rendering.image_format)
        if planes == "gbrp" and self.rendering.image_format == "rgba" and has_alpha(layout):
            planes = "gbrap"
        # i420 images are always BT.601 at full range, as in JPEG, whatever the stream uses.
        to_matrix = MATRIX_NUMBERS["bt601"] if self.rendering.image_format == "i420" else matrix
        step = scale_step(
            size, planes or self._target, matrix=matrix, source_range=source_range, to_matrix=to_matrix
        )
        steps.append(step)
        return steps if planes is None else [*steps, scale_step(size, self._target)]

    @property
    def _target(self) -> str:
        return _NAMES.get(self.rendering.image_format, self.rendering.image_format)

    def _matrix(self, picture: VideoFrame) -> str:
        wanted = self.rendering.color_matrix
        matrix = matrix_used(picture) if wanted == "auto" else wanted
        if matrix not in MATRIX_NUMBERS:
            raise UnsupportedMediaError(
                f"colour matrix {picture.colorspace} of ITU-T H.273 is not supported: "
                "pass color_matrix= to use another",
                source=self._source,
            )
        return matrix

    def _matrix_number(self, picture: VideoFrame) -> int:
        if self.rendering.image_format in _GRAYS:
            # Only luma is needed, and no matrix touches luma while both sides use swscale's default.
            return int(Colorspace.DEFAULT)
        return MATRIX_NUMBERS[self._matrix(picture)]

    def _stretch(self, picture: VideoFrame) -> Callable[[Image], Image] | None:
        """Return a function that maps white to 65535, if swscale leaves it below."""
        if self.rendering.image_format != "rgb48":
            return None
        depth = depth_of(picture.format)
        # `_steps` leaves 8-bit RGB at 8 bits. The white of deeper RGB already is 65535.
        if is_rgb(picture.format):
            return repeat_bytes if depth == 8 else None
        # White from YUV falls short of 65535, by the more the fewer bits it had.
        return partial(fill_range, shift=depth if is_full_range(picture) else 8)

    def _tone_mapping(self, picture: VideoFrame, size: Size) -> Step:
        return partial(self._tone_mapper, size=size, target=self._target, matrix=self._matrix(picture))


def _turned(size: Size, orientation: Orientation) -> Size:
    """Swap the sides of an upright size for the stored one, or the reverse."""
    return (size[1], size[0]) if orientation.transpose else size
