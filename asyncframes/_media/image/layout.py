"""The layout, colours and orientation of a decoded picture, from its tags."""

from __future__ import annotations

from typing import Literal

import av
from av.sidedata.sidedata import Type as SideDataType
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Interpolation

from asyncframes._media.pyav import side_data_of
from asyncframes._model.color import matrix_of
from asyncframes._model.timing import Orientation, orientation_from_degrees, orientation_from_matrix
from asyncframes._types import ColorMatrix


def is_rgb(layout: VideoFormat) -> bool:
    """Whether the stored values become RGB without a matrix."""
    return layout.is_rgb or layout.has_palette or layout.name.startswith("xyz")


def is_gray(layout: VideoFormat) -> bool:
    """Whether the layout has luma but no chroma."""
    colours = [part for part in layout.components if not part.is_alpha]
    return len(colours) == 1 and not is_rgb(layout)


def depth_of(layout: VideoFormat) -> int:
    """Return the number of bits in a component."""
    if layout.name.startswith("bayer"):
        # FFmpeg shares the bits of a sample among the colours, because each pixel has one of them.
        return layout.bits_per_pixel
    return layout.components[0].bits


def has_alpha(layout: VideoFormat) -> bool:
    """Whether pixels of this layout may be transparent."""
    return layout.has_palette or any(part.is_alpha for part in layout.components)


def is_full_range(picture: VideoFrame) -> bool:
    """Whether black is 0. Untagged gray counts as full range and untagged YUV as limited, as in FFmpeg."""
    if picture.color_range == ColorRange.UNSPECIFIED:
        return is_gray(picture.format) or picture.format.name.startswith("yuvj")
    return bool(picture.color_range == ColorRange.JPEG)


def matrix_used(picture: VideoFrame) -> ColorMatrix | Literal["rgb", "unsupported"]:
    """Return the matrix that converts a picture by default."""
    if is_rgb(picture.format):
        return "rgb"
    return matrix_of(
        picture.colorspace,
        picture.color_primaries,
        picture.color_trc,
        width=picture.width,
        height=picture.height,
    )


def orientation_of(picture: VideoFrame) -> Orientation:
    """Read the display matrix that the decoder attached to a picture."""
    try:
        matrix = side_data_of(_small_copy(picture)).get(SideDataType.DISPLAYMATRIX)
    except (av.FFmpegError, ValueError):
        return orientation_from_degrees(picture.rotation)
    return Orientation() if matrix is None else orientation_from_matrix(bytes(matrix))


def _small_copy(picture: VideoFrame) -> VideoFrame:
    """Copy a picture's side data to a tiny picture.

    Reading side data makes it and its picture refer to each other, so only the garbage
    collector frees them. Until then a decoder cannot reuse the picture's memory, and what
    it outputs for damaged parts would depend on when the collector runs.
    """
    # Which pixels it shows does not matter, and taking the nearest is twenty times as fast as averaging.
    return picture.reformat(width=2, height=2, interpolation=Interpolation.POINT, threads=1)
