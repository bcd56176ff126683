"""The encoder for each file extension, and its options."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from io import BytesIO
from typing import TypeAlias

import numpy as np

from asyncframes._frames.jpeg import encode_i420, encode_jpeg
from asyncframes._frames.png import encode_png
from asyncframes._model.quoting import quoted_option
from asyncframes._types import Image, ImageFormat

__all__ = ["Encoder", "encode_npy", "encode_raw", "encoder_for", "is_jpeg", "without_dot"]

Encoder: TypeAlias = Callable[[Image], bytes]
"""Encodes an image as a complete file; thread-safe."""

JPEG_EXTENSIONS = frozenset({".jpg", ".jpeg", ".jpe", ".jfif"})
QUALITY_EXTENSIONS = JPEG_EXTENSIONS | {".webp", ".avif"}


def encoder_for(
    ext: str,
    *,
    quality: int | None = None,
    compression_level: int | None = None,
    image_format: ImageFormat = "rgb24",
) -> Encoder:
    """Choose the encoder for a file extension.

    Parameters
    ----------
    ext
        With or without its dot, in any case: ``"png"``, ``".JPG"``, ``"webp"``,
        ``"npy"``, ``"raw"``, or any other still-image format that imageio writes.
    quality
        For jpeg (1 to 100, default 95), webp and avif (0 to 100, Pillow's default).
    compression_level
        For png (0 to 9, default 1).
    image_format
        Format of the images. Only jpeg, npy and raw files can store ``"i420"``, and only
        png, npy and raw files ``"rgb48"`` and ``"gray16"``.

    Returns
    -------
    Encoder
        Returns the bytes of a complete file; thread-safe.

    Raises
    ------
    TypeError
        `ext` is no text.
    ValueError
        No encoder writes the extension, its format lacks an option or cannot store the
        images, or an option is out of range.
    """
    extension = "." + without_dot(ext).lower()
    if compression_level is not None and extension != ".png":
        raise ValueError(f"compression_level is for .png only: omit it for {quoted_option(extension)}")
    if quality is not None and extension not in QUALITY_EXTENSIONS:
        raise ValueError(f"quality is for .jpg, .webp and .avif only: omit it for {quoted_option(extension)}")
    if image_format == "i420" and extension not in JPEG_EXTENSIONS | ARRAY_ENCODERS.keys():
        raise ValueError(f'image_format="i420" with ext={quoted_option(extension)}: expected jpg, npy or raw')
    if image_format in {"rgb48", "gray16"} and extension not in {".png", *ARRAY_ENCODERS}:
        raise ValueError(
            f'image_format="{image_format}" with ext={quoted_option(extension)}: expected png, npy or raw'
        )
    encoder = _choose(extension, quality, compression_level, planar=image_format == "i420")
    # A trial run reveals an option out of range, or a codec that Pillow lacks, before the first frame.
    encoder(np.zeros((24, 16) if image_format == "i420" else (16, 16, 3), np.uint8))
    return encoder


def is_jpeg(ext: str) -> bool:
    """Return whether a file extension, with or without its dot, is for JPEG."""
    return "." + without_dot(ext).lower() in JPEG_EXTENSIONS


def without_dot(ext: str) -> str:
    """Return a file extension without its dot.

    Raises
    ------
    TypeError
        It is no text.
    """
    if not isinstance(ext, str):
        raise TypeError(f"ext={quoted_option(ext)}: expected a file extension, such as 'png'")
    return ext.removeprefix(".")


def encode_npy(image: Image) -> bytes:
    """Encode an image in NumPy's format, as `numpy.save` does."""
    file = BytesIO()
    np.lib.format.write_array(file, image, allow_pickle=False)
    return file.getvalue()


def encode_raw(image: Image) -> bytes:
    """Return the array's bytes in C order, without a header; 16-bit values in the machine's byte order."""
    return image.tobytes()


ARRAY_ENCODERS: dict[str, Encoder] = {".npy": encode_npy, ".raw": encode_raw}


def _choose(extension: str, quality: int | None, compression_level: int | None, *, planar: bool) -> Encoder:
    if extension == ".png":
        return (
            encode_png
            if compression_level is None
            else partial(encode_png, compression_level=compression_level)
        )
    if extension in JPEG_EXTENSIONS:
        encode = encode_i420 if planar else encode_jpeg
        return encode if quality is None else partial(encode, quality=quality)
    if extension in ARRAY_ENCODERS:
        return ARRAY_ENCODERS[extension]
    # imageio and Pillow take 0.2 s to import, and png and jpeg need neither.
    from asyncframes._frames.with_imageio import encode_with_imageio

    return partial(encode_with_imageio, extension=extension, quality=quality)
