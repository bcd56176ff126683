"""Images as files, and as small PNGs that notebooks show."""

from __future__ import annotations

import numpy as np

from asyncframes._frames.encoders import encoder_for
from asyncframes._frames.png import encode_png
from asyncframes._model.quoting import quoted_option
from asyncframes._types import Image, ImageFormat
from asyncframes.errors import FrameEncodeError

MOST_SHOWN_PIXELS = 1_000_000
"""Larger images are scaled down before a notebook gets them."""


def encode_image(
    image: Image,
    ext: str,
    *,
    quality: int | None,
    compression_level: int | None,
    image_format: ImageFormat,
    what: str,
    index: int | None,
) -> bytes:
    """Encode an image as a complete file; see `Frame.encode`."""
    try:
        encoder = encoder_for(
            ext,
            quality=quality,
            compression_level=compression_level,
            image_format="rgb24" if image_format == "bgr24" else image_format,
        )
        return encoder(image[..., ::-1] if image_format == "bgr24" else image)
    except (TypeError, ValueError) as exc:
        message = f"{what} cannot be encoded as {quoted_option(ext)}: {exc}"
        raise FrameEncodeError(message, index=index) from exc


def png_to_show(image: Image, image_format: ImageFormat) -> bytes | None:
    """Encode an image as a PNG of at most `MOST_SHOWN_PIXELS`; ``None`` if it is no image."""
    try:
        return encode_png(_scaled_down(in_8_bits(image, image_format)))
    except (TypeError, ValueError):
        return None


def in_8_bits(image: Image, image_format: ImageFormat) -> Image:
    """Convert an image of any format to ``uint8`` gray, RGB or RGBA."""
    if image_format == "i420":
        return _rgb_of_i420(image)
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    return image[..., ::-1] if image_format == "bgr24" else image


def _rgb_of_i420(image: Image) -> Image:
    # Pillow takes 50 ms to import, and most processes show no frame.
    from PIL import Image as PillowImage

    height, width = image.shape[0] // 3 * 2, image.shape[1]
    chroma = image[height:].reshape(2, height // 2, width // 2).repeat(2, axis=1).repeat(2, axis=2)
    planes = [PillowImage.fromarray(np.ascontiguousarray(plane)) for plane in (image[:height], *chroma)]
    return np.asarray(PillowImage.merge("YCbCr", planes).convert("RGB"))


def _scaled_down(image: Image) -> Image:
    height, width = image.shape[:2]
    scale = (MOST_SHOWN_PIXELS / max(1, height * width)) ** 0.5
    if scale >= 1:
        return image
    from PIL import Image as PillowImage

    # A side of less than a pixel is one pixel, and then the other may be longer than the scale allows.
    size = (
        min(max(1, int(width * scale)), MOST_SHOWN_PIXELS),
        min(max(1, int(height * scale)), MOST_SHOWN_PIXELS),
    )
    return np.asarray(PillowImage.fromarray(image).resize(size, PillowImage.Resampling.BOX))
