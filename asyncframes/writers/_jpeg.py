"""JPEG through libjpeg-turbo, GIL released."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import numpy as np
import simplejpeg  # type: ignore[import-untyped]  # ships no types

from asyncframes._model.quoting import quoted
from asyncframes._types import Image

__all__ = ["Subsampling", "encode_i420", "encode_jpeg"]

Subsampling: TypeAlias = Literal["444", "422", "420", "440", "411"]
"""How much smaller the colour planes are stored; ``"444"`` keeps them whole."""


def encode_i420(image: Image, *, quality: int = 95) -> bytes:
    """Encode planes as JPEG, as they are: none of their samples is converted or resampled.

    Thread-safe; the GIL is released while encoding.

    Parameters
    ----------
    image
        ``uint8``, ``(height * 3 // 2, width)``, as ``image_format="i420"`` gives it.
    quality
        As for `encode_jpeg`.

    Returns
    -------
    bytes
        A whole JFIF file, its colour planes of half the height and width.

    Raises
    ------
    TypeError
        The image is not ``uint8``.
    ValueError
        A shape that holds no such planes, or a quality outside its range.
    """
    _check_options(quality, "420")
    if image.dtype != np.uint8:
        raise TypeError(f"JPEG needs uint8, got {image.dtype}")
    if image.ndim != 2 or image.shape[0] % 3 or image.shape[1] % 2 or not image.size:
        raise ValueError(f"i420 is (height * 3 // 2, width) of even sides, got {image.shape}")
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
        1 to 100. The default, 95 with ``"420"``, is OpenCV's; Pillow's is 75.
        Below 96 libjpeg-turbo takes its fast DCT, which costs 0.2 to 0.4 dB;
        from 96 on the pixels are those of Pillow.
    subsampling
        Of the colour planes; gray has none.

    Returns
    -------
    bytes
        A whole JFIF file.

    Raises
    ------
    TypeError
        The image is not ``uint8``.
    ValueError
        A shape that JPEG cannot hold (RGBA among them), or an option outside its range.
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
        raise ValueError(f"JPEG quality is 1 to 100, got {quality}")
    if subsampling not in get_args(Subsampling):
        raise ValueError(
            f"subsampling is one of {', '.join(get_args(Subsampling))}, got {quoted(subsampling)}"
        )


def _is_gray(image: Image) -> bool:
    if image.dtype != np.uint8:
        raise TypeError(f"JPEG needs uint8, got {image.dtype}")
    if image.ndim == 3 and image.shape[2] == 4:
        raise ValueError("JPEG has no alpha: store RGBA as png or webp, or decode to rgb24")
    if image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3):
        return image.ndim == 2
    raise ValueError(f"JPEG needs (height, width) or (height, width, 3), got {image.shape}")
