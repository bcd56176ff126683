"""How decoded pictures become images: the options, and the sizes that follow from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, Unpack, get_args

from asyncframes._model.quoting import quoted_option
from asyncframes._types import ColorMatrix, ImageFormat, PictureOptions

_MATRICES = ("auto", *get_args(ColorMatrix))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendering:
    """Checked values of `PictureOptions`, which describes them."""

    image_format: ImageFormat = "rgb24"
    resize: tuple[int | None, int | None] | None = None
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

    def size_of(self, width: int, height: int, pixel_shape: Fraction) -> tuple[int, int]:
        """Return the size of an upright image.

        Parameters
        ----------
        width, height
            Size of the upright picture, as stored.
        pixel_shape
            Width of a pixel over its height.
        """
        full_width, full_height = Fraction(width), Fraction(height)
        if self.square_pixels and pixel_shape > 1:
            full_width *= pixel_shape
        elif self.square_pixels:
            full_height /= pixel_shape
        new_width, new_height = self.resize or (None, None)
        if new_width is None:
            scale = 1 if new_height is None else new_height / full_height
            return _rounded(full_width * scale), new_height or _rounded(full_height)
        return new_width, new_height or _rounded(full_height * new_width / full_width)


def _rounded(length: Fraction) -> int:
    return max(1, round(length))


def make_rendering(**options: Unpack[PictureOptions]) -> Rendering:
    """Check the options of a request.

    Raises
    ------
    ValueError
        A value is invalid.
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
    return rendering


def _check_resize(resize: tuple[int | None, int | None]) -> None:
    problem = f"resize={quoted_option(resize)}: expected (width, height), one of which may be None"
    if not isinstance(resize, Sequence) or not all(isinstance(one, int | None) for one in resize):
        raise TypeError(problem)
    lengths = [length for length in resize if length is not None]
    if len(resize) != 2 or not lengths or any(length < 1 for length in lengths):
        raise ValueError(problem)
