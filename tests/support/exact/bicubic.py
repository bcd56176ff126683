"""Bicubic scaling and YUV to RGB in NumPy, as swscale does both but in floating point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.support.streams.patches import RED_AND_BLUE

Floats = NDArray[np.float64]

# The sharpness of swscale's bicubic: the derivative of the kernel at 1.
_SHARPNESS = -0.6


def scaled(plane: NDArray[Any], size: tuple[int, int]) -> Floats:
    """Scale a plane to a width and height; a sample beside an edge counts for all beyond it."""
    width, height = size
    rows, columns = _weights(plane.shape[0], height), _weights(plane.shape[1], width)
    result: Floats = rows @ plane.astype(np.float64) @ columns.T
    return result


def _weights(length: int, new_length: int) -> Floats:
    step = length / new_length
    reach = max(step, 1)
    centres = (np.arange(new_length) + 0.5) * step - 0.5
    taps = np.arange(-int(2 * reach) - 2, int(2 * reach) + 3)
    places = np.floor(centres)[:, None] + taps
    shares = _kernel((places - centres[:, None]) / reach)
    shares /= shares.sum(axis=1, keepdims=True)
    weights = np.zeros((new_length, length))
    samples = np.clip(places, 0, length - 1).astype(np.int64)
    np.add.at(weights, (np.arange(new_length).repeat(len(taps)), samples.ravel()), shares.ravel())
    return weights


def _kernel(distance: Floats) -> Floats:
    x, a = np.abs(distance), _SHARPNESS
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * (x**3 - 5 * x**2 + 8 * x - 4)
    kernel: Floats = np.where(x < 1, near, np.where(x < 2, far, 0))
    return kernel


def to_rgb(planes: Sequence[Floats], matrix: str, *, is_full_range: bool) -> Floats:
    """Convert Y, U and V of 8 bits, of one size, to RGB from 0 to 255."""
    luma, *chroma = planes
    red, blue = RED_AND_BLUE[matrix]
    luma = luma if is_full_range else (luma - 16) * 255 / 219
    from_blue, from_red = ((part - 128) * (1 if is_full_range else 255 / 224) for part in chroma)
    r, b = luma + (2 - 2 * red) * from_red, luma + (2 - 2 * blue) * from_blue
    g = (luma - red * r - blue * b) / (1 - red - blue)
    colours: Floats = np.clip(np.stack([r, g, b], axis=-1), 0, 255)
    return colours
