"""All other still-image formats, through imageio."""

from __future__ import annotations

from functools import partial

import imageio.v3 as iio
from PIL import Image as PillowImage

from asyncframes._model.quoting import quoted_option
from asyncframes._types import Image

__all__ = ["encode_with_imageio"]


def encode_with_imageio(image: Image, *, extension: str, quality: int | None = None) -> bytes:
    """Encode an image in the format of a file extension.

    Pillow is the only plugin used: the bytes then do not depend on other installed
    plugins, and no video extension counts as a still image.

    Parameters
    ----------
    image
        ``uint8`` gray, RGB or RGBA, if the format supports it.
    extension
        With its dot, in lower case.
    quality
        0 to 100, for the formats that have one.

    Returns
    -------
    bytes
        A complete image file.

    Raises
    ------
    ValueError
        No encoder writes this extension, or its format cannot store this image.
    """
    if extension not in PillowImage.registered_extensions():
        raise ValueError(
            f"ext={quoted_option(extension)}: "
            "expected png, jpg, npy, raw or a still-image format that Pillow writes"
        )
    if quality is not None and not 0 <= quality <= 100:
        raise ValueError(f"quality={quality}: expected 0 to 100 for {extension}")
    encode = partial(iio.imwrite, "<bytes>", image, extension=extension, plugin="pillow")
    try:
        return encode() if quality is None else encode(quality=quality)
    except (OSError, KeyError, ValueError) as exc:
        raise ValueError(
            f"{extension} cannot be written with an image of shape {image.shape}: {exc}"
        ) from exc
