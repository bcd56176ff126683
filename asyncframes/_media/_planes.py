"""Pictures of three planes as one array."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane

from asyncframes._types import Image


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
