"""JPEG through libjpeg-turbo, with the GIL released."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import numpy as np
import simplejpeg  # type: ignore[import-untyped]  # ships no types

from asyncframes._model.quoting import quoted_option
from asyncframes._types import Image

__all__ = ["Subsampling", "encode_i420", "encode_jpeg"]

Subsampling: TypeAlias = Literal["444", "422", "420", "440", "411"]
"""How far colour planes are reduced; ``"444"`` stores them at full size."""


def encode_i420(image: Image, *, quality: int = 95) -> bytes:
    """Encode YUV planes as JPEG without converting or resampling them.

    Thread-safe; the GIL is released while encoding.

    Parameters
    ----------
    image
        ``uint8``, ``(height * 3 // 2, width)``, the layout of ``image_format="i420"``.
    quality
        As for `encode_jpeg`.

    Returns
    -------
    bytes
        A complete JFIF file, with colour planes of half the height and width.

    Raises
    ------
    TypeError
        The image is not ``uint8``.
    ValueError
        The shape has no room for such planes, or the quality is out of range.
    """
    _check_options(quality, "420")
    if image.dtype != np.uint8:
        raise TypeError(f"image of {image.dtype}: expected uint8 for JPEG")
    if image.ndim != 2 or image.shape[0] % 3 or image.shape[1] % 2 or not image.size:
        raise ValueError(
            f"image of shape {image.shape}: expected (height * 3 // 2, width) with even sides for i420"
        )
    height, width = image.shape[0] // 3 * 2, image.shape[1]
    whole = np.ascontiguousarray(image)
    chroma = whole[height:].reshape(2, height // 2, width // 2)
    data: bytes = simplejpeg.encode_jpeg_yuv_planes(whole[:height], *chroma, quality=quality)
    return data


def encode_jpeg(image: Image, *, quality: int = 95, subsampling: Subsampling = "420") -> bytes:
    """Encode an image as JPEG.

    Thread-safe; the GIL is released while encoding.

    Parameters
    ----------
    image
        ``uint8``; ``(height, width)`` gray or ``(height, width, 3)`` RGB. Need
        not be contiguous.
    quality
        1 to 100. The default of 95 with ``"420"`` is OpenCV's; Pillow's is 75. Below 96
        libjpeg-turbo uses its fast DCT, which costs 0.2 to 0.4 dB; from 96 on the pixels
        equal Pillow's.
    subsampling
        Subsampling of the colour planes; ignored for gray.

    Returns
    -------
    bytes
        A complete JFIF file.

    Raises
    ------
    TypeError
        The image is not ``uint8``.
    ValueError
        JPEG cannot store the shape (RGBA, for example), or an option is out of range.
    """
    _check_options(quality, subsampling)
    gray = _is_gray(image)
    data: bytes = simplejpeg.encode_jpeg(
        np.ascontiguousarray(image[..., np.newaxis] if gray else image),
        quality=quality,
        colorspace="GRAY" if gray else "RGB",
        colorsubsampling="Gray" if gray else subsampling,
    )
    return data


def _check_options(quality: int, subsampling: str) -> None:
    if not 1 <= quality <= 100:
        raise ValueError(f"quality={quality}: expected 1 to 100 for JPEG")
    if subsampling not in get_args(Subsampling):
        raise ValueError(
            f"subsampling={quoted_option(subsampling)}: expected one of {', '.join(get_args(Subsampling))}"
        )


def _is_gray(image: Image) -> bool:
    if image.dtype != np.uint8:
        raise TypeError(f"image of {image.dtype}: expected uint8 for JPEG")
    if image.ndim == 3 and image.shape[2] == 4:
        raise ValueError("JPEG has no alpha: store RGBA as png or webp, or decode to rgb24")
    if image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3):
        return image.ndim == 2
    raise ValueError(f"image of shape {image.shape}: expected (height, width) or (height, width, 3) for JPEG")
