"""Every other still-image format, through imageio."""

from __future__ import annotations

from functools import partial

import imageio.v3 as iio
from PIL import Image as PillowImage

from asyncframes._types import Image

__all__ = ["encode_with_imageio"]


def encode_with_imageio(image: Image, *, extension: str, quality: int | None = None) -> bytes:
    """Encode an image in the format that the extension names.

    Pillow is named as the plugin, so that the bytes do not depend on what else
    is installed, and no video extension is taken for a still image.

    Parameters
    ----------
    image
        ``uint8`` gray, RGB or RGBA, as the format allows.
    extension
        With its dot, in lower case.
    quality
        0 to 100, for the formats that have one.

    Returns
    -------
    bytes
        A whole image file.

    Raises
    ------
    ValueError
        Nothing writes this extension, or its format cannot hold this image.
    """
    if extension not in PillowImage.registered_extensions():
        raise ValueError(f"{extension} is no image format that can be written")
    if quality is not None and not 0 <= quality <= 100:
        raise ValueError(f"{extension} quality is 0 to 100, got {quality}")
    encode = partial(iio.imwrite, "<bytes>", image, extension=extension, plugin="pillow")
    try:
        return encode() if quality is None else encode(quality=quality)
    except (OSError, KeyError, ValueError) as exc:
        raise ValueError(
            f"{extension} cannot be written with an image of shape {image.shape}: {exc}"
        ) from exc
