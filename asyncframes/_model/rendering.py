"""How decoded pictures become images: the options, and the sizes that follow from them."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Literal, NamedTuple, TypeAlias, Unpack, get_args

import numpy as np

from asyncframes._model.quoting import quoted_option
from asyncframes._types import ColorMatrix, Fit, ImageFormat, PictureOptions
from asyncframes.errors import CropError

_MATRICES = ("auto", *get_args(ColorMatrix))

# FFmpeg counts pixels in 32 bits.
_LONGEST = 2**31 - 1

_CHANNELS = {"rgb24": 3, "bgr24": 3, "rgba": 4, "rgb48": 3}
_WIDE = {"rgb48", "gray16"}

Size: TypeAlias = tuple[int, int]
"""Width and height."""


class Region(NamedTuple):
    """A rectangle of pixels, whose upper left corner is at `x`, `y`."""

    x: int
    y: int
    width: int
    height: int

    @property
    def size(self) -> Size:
        """Width and height."""
        return self.width, self.height


@dataclass(frozen=True, slots=True)
class Framing:
    """What an upright image shows of its picture, and its size.

    Attributes
    ----------
    whole
        Size of the image that shows the whole picture unscaled.
    region
        The part of that image to show.
    size
        Size that the region is scaled to.
    """

    whole: Size
    region: Region
    size: Size

    @property
    def is_cut(self) -> bool:
        """Whether the region is not the whole."""
        return self.region.size != self.whole

    @property
    def is_scaled(self) -> bool:
        """Whether the size is not that of the region."""
        return self.region.size != self.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendering:
    """Checked values of `PictureOptions`, which describes them."""

    image_format: ImageFormat = "rgb24"
    crop: tuple[int, int, int, int] | None = None
    resize: tuple[int | None, int | None] | None = None
    fit: Fit = "stretch"
    max_side: int | None = None
    multiple_of: int = 1
    square_pixels: bool = False
    autorotate: bool = True
    deinterlace: bool = False
    tone_map: bool = False
    accurate_color: bool = False
    color_matrix: Literal["auto"] | ColorMatrix = "auto"

    @property
    def reach(self) -> int:
        """How many frames before and after a frame determine its image."""
        return int(self.deinterlace)

    @property
    def channels(self) -> int:
        """Values per pixel; 1 for images without an axis for them."""
        return _CHANNELS.get(self.image_format, 1)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values of an image."""
        return np.dtype(np.uint16 if self.image_format in _WIDE else np.uint8)

    def shape_of(self, size: Size) -> tuple[int, ...]:
        """Return the shape of an image of this size."""
        width, height = size
        if self.image_format == "i420":
            return height * 3 // 2, width
        return (height, width) if self.channels == 1 else (height, width, self.channels)

    def stored_framing_of(self, width: int, height: int, pixel_shape: Fraction, *, turned: bool) -> Framing:
        """Return `framing_of` of a picture before it is turned upright.

        Parameters
        ----------
        width, height, pixel_shape
            Of the picture as stored.
        turned
            Whether turning it upright swaps its sides.
        """
        if turned:
            return self.framing_of(height, width, 1 / pixel_shape)
        return self.framing_of(width, height, pixel_shape)

    def size_of(self, width: int, height: int, pixel_shape: Fraction) -> Size:
        """Return the size of an upright image; see `framing_of`."""
        return self.framing_of(width, height, pixel_shape).size

    def framing_of(self, width: int, height: int, pixel_shape: Fraction) -> Framing:
        """Return what an upright image shows of its picture, and its size.

        Parameters
        ----------
        width, height
            Size of the upright picture, as stored.
        pixel_shape
            Width of a pixel over its height.

        Raises
        ------
        CropError
            The crop reaches outside the picture.
        """
        full_width, full_height = Fraction(width), Fraction(height)
        if self.square_pixels and pixel_shape > 1:
            full_width *= pixel_shape
        elif self.square_pixels:
            full_height /= pixel_shape
        whole = _rounded(full_width), _rounded(full_height)
        region = Region(0, 0, *whole)
        if self.crop is not None:
            region = _inside(Region(*self.crop), whole)
            full_width, full_height = Fraction(region.width), Fraction(region.height)
        size = self._to_multiples(self._resized(full_width, full_height))
        return Framing(whole, _central(region, size) if self.fit == "cover" else region, size)

    def _resized(self, width: Fraction, height: Fraction) -> Size:
        new_width, new_height = self.resize or (None, None)
        scale = Fraction(1)
        if self.max_side is not None:
            scale = min(scale, self.max_side / max(width, height))
        elif self.fit == "inside" and new_width and new_height:
            scale = min(new_width / width, new_height / height)
        elif new_width is not None:
            return new_width, new_height or _rounded(height * new_width / width)
        elif new_height is not None:
            return _rounded(width * new_height / height), new_height
        return _rounded(width * scale), _rounded(height * scale)

    def _to_multiples(self, size: Size) -> Size:
        bounds: tuple[int | None, int | None] = self.max_side, self.max_side
        if self.fit == "inside" and self.resize is not None:
            bounds = self.resize[0], self.resize[1]
        width, height = (
            _multiple(length, self.multiple_of, bound) for length, bound in zip(size, bounds, strict=True)
        )
        return width, height


def _rounded(length: Fraction) -> int:
    return max(1, round(length))


def _multiple(length: int, unit: int, bound: int | None) -> int:
    """Round to the nearest multiple, at least one, that is within the bound."""
    count = _rounded(Fraction(length, unit))
    return unit * (count if bound is None else min(count, bound // unit))


def _inside(region: Region, whole: Size) -> Region:
    width, height = whole
    if region.x + region.width > width or region.y + region.height > height:
        raise CropError(
            f"crop={quoted_option(tuple(region))} is outside the image of {width}x{height}: "
            f"expected x + width <= {width} and y + height <= {height}",
            crop=(region.x, region.y, region.width, region.height),
            width=width,
            height=height,
        )
    return region


def _central(region: Region, size: Size) -> Region:
    """Return the largest central part of a region that has the shape of a size, to the nearest pixel."""
    scale = min(Fraction(region.width, size[0]), Fraction(region.height, size[1]))
    width, height = _rounded(size[0] * scale), _rounded(size[1] * scale)
    x, y = region.x + (region.width - width) // 2, region.y + (region.height - height) // 2
    return Region(x, y, width, height)


def make_rendering(**options: Unpack[PictureOptions]) -> Rendering:
    """Check the options of a request.

    Raises
    ------
    ValueError
        A value is invalid, or two options contradict each other.
    TypeError
        A value has the wrong type.
    """
    rendering = Rendering(**options)
    formats = get_args(ImageFormat)
    if rendering.image_format not in formats:
        given = quoted_option(rendering.image_format)
        raise ValueError(f"image_format={given}: expected one of {', '.join(formats)}")
    if rendering.image_format == "i420" and rendering.tone_map:
        raise ValueError('tone_map=True converts to RGB: expected an image_format other than "i420"')
    if rendering.color_matrix not in _MATRICES:
        raise ValueError(
            f"color_matrix={quoted_option(rendering.color_matrix)}: expected one of {', '.join(_MATRICES)}"
        )
    if rendering.resize is not None:
        _check_resize(rendering.resize)
    rendering = replace(
        rendering,
        crop=None if rendering.crop is None else _read_crop(rendering.crop),
        max_side=None if rendering.max_side is None else _read_length("max_side", rendering.max_side),
        multiple_of=_read_length("multiple_of", rendering.multiple_of),
    )
    _check_fit(rendering)
    _check_bounds(rendering)
    return rendering


def _check_resize(resize: tuple[int | None, int | None]) -> None:
    problem = f"resize={quoted_option(resize)}: expected (width, height), one of which may be None"
    if not isinstance(resize, Sequence) or not all(isinstance(one, int | None) for one in resize):
        raise TypeError(problem)
    lengths = [length for length in resize if length is not None]
    if len(resize) != 2 or not lengths or any(not 1 <= length <= _LONGEST for length in lengths):
        raise ValueError(f"{problem}, from 1 to {_LONGEST}")


def _read_crop(crop: Any) -> tuple[int, int, int, int]:
    problem = f"crop={quoted_option(crop)}: expected (x, y, width, height) in whole pixels"
    try:
        numbers = [operator.index(number) for number in crop]
    except TypeError:
        raise TypeError(problem) from None
    if len(numbers) != 4 or min(numbers[:2]) < 0 or min(numbers[2:]) < 1 or max(numbers) > _LONGEST:
        raise ValueError(f"{problem}, x and y from 0, width and height from 1, all to {_LONGEST}")
    x, y, width, height = numbers
    return x, y, width, height


def _read_length(name: str, given: Any) -> int:
    problem = f"{name}={quoted_option(given)}: expected a whole number of pixels from 1 to {_LONGEST}"
    try:
        length = operator.index(given)
    except TypeError:
        raise TypeError(problem) from None
    if not 1 <= length <= _LONGEST:
        raise ValueError(problem)
    return length


def _check_fit(rendering: Rendering) -> None:
    fit, resize = rendering.fit, rendering.resize
    if fit not in get_args(Fit):
        raise ValueError(f"fit={quoted_option(fit)}: expected one of {', '.join(get_args(Fit))}")
    if fit != "stretch" and (resize is None or None in resize):
        raise ValueError(f'fit="{fit}" with resize={quoted_option(resize)}: expected resize=(width, height)')
    if rendering.max_side is not None and resize is not None:
        raise ValueError(
            f"max_side={quoted_option(rendering.max_side)} with resize={quoted_option(resize)}: "
            'expected one of them; resize=(width, height) with fit="inside" bounds both sides'
        )


def _check_bounds(rendering: Rendering) -> None:
    """Refuse bounds that are below the least multiple."""
    unit = rendering.multiple_of
    if rendering.max_side is not None and rendering.max_side < unit:
        raise ValueError(
            f"max_side={quoted_option(rendering.max_side)} with multiple_of={quoted_option(unit)}: "
            "expected max_side to be at least multiple_of"
        )
    sides = [side for side in rendering.resize or () if side is not None]
    if rendering.fit == "inside" and min(sides) < unit:
        raise ValueError(
            f"resize={quoted_option(rendering.resize)} with multiple_of={quoted_option(unit)}: "
            'expected sides of at least multiple_of for fit="inside"'
        )
