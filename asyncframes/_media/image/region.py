"""Takes a part of an image: of the array, or of the stored picture before it is scaled."""

from __future__ import annotations

from functools import cache

import av
import numpy as np
from av.filter import Graph
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace

from asyncframes._media.image.conversion_plan import NATIVE, Step, scale_step
from asyncframes._media.image.filters import filtered, keeps_layout, make_chain
from asyncframes._media.image.layout import depth_of, has_alpha, is_full_range, is_gray, is_rgb, matrix_used
from asyncframes._model.color import MATRIX_NUMBERS
from asyncframes._model.rendering import Region, Size
from asyncframes._model.timing import Orientation
from asyncframes._types import Image
from asyncframes.errors import UnsupportedMediaError

_LEAST_CHROMA_BITS = 12

# How many samples of chroma on each side bicubic interpolation may use, with some to spare.
_REACH = 4


def cut_pixels(image: Image, region: Region) -> Image:
    """Return a view of a region."""
    return image[region.y : region.y + region.height, region.x : region.x + region.width]


def cut_planes(image: Image, region: Region) -> Image:
    """Return the planes of a region of i420, whose numbers are even."""
    height, width = image.shape[0] * 2 // 3, image.shape[1]
    chroma = image[height:].reshape(2, height // 2, width // 2)
    half = Region(*(number // 2 for number in region))
    planes = cut_pixels(image[:height], region), *(cut_pixels(plane, half) for plane in chroma)
    return np.concatenate([plane.ravel() for plane in planes]).reshape(-1, region.width)


def as_stored(region: Region, whole: Size, orientation: Orientation) -> Region:
    """Return the region of a stored picture that becomes a region of the upright one.

    Parameters
    ----------
    whole
        Size of the upright picture.
    """
    x, y, width, height = region
    if orientation.flip_x:
        x = whole[0] - x - width
    if orientation.flip_y:
        y = whole[1] - y - height
    return Region(y, x, height, width) if orientation.transpose else Region(x, y, width, height)


class StoredRegion:
    """Takes a region of stored pictures of one kind, for a conversion that scales it.

    The result shares the pixels of the picture if the region begins and ends between samples of
    chroma. Otherwise each pixel gets its own chroma first, interpolated from the samples in
    and around the region.

    Parameters
    ----------
    picture
        A picture of the kind.
    region
        The part to take, in stored orientation.
    whole
        Size that the whole picture is scaled to first, and in which the region counts.
    """

    def __init__(self, picture: VideoFrame, region: Region, whole: Size) -> None:
        layout = picture.format
        self._color_range = picture.color_range
        # An untagged matrix depends on the size of the whole picture.
        self._colorspace = MATRIX_NUMBERS.get(matrix_used(picture), picture.colorspace)
        can_be_cropped = whole == (picture.width, picture.height) and _can_be_cropped(layout.name)
        if can_be_cropped and _in_samples(layout, region, whole) == region:
            self._steps: tuple[Step, ...] = (_Crop(region),)
            return
        if not is_rgb(layout):
            self._color_range = ColorRange.JPEG if is_full_range(picture) else ColorRange.MPEG
        around = Region(0, 0, *whole)
        crop: tuple[Step, ...] = ()
        if can_be_cropped:
            around = _in_samples(layout, region, whole, more=_REACH)
            crop = (_Crop(around),)
        within = Region(region.x - around.x, region.y - around.y, *region.size)
        self._steps = *crop, _unchanged(around.size, _with_full_chroma(layout)), _Crop(within)

    def __call__(self, picture: VideoFrame) -> VideoFrame:
        """Return the region as a picture with the tags of the whole.

        Raises
        ------
        UnsupportedMediaError
            The bundled FFmpeg cannot crop.
        """
        for step in self._steps:
            picture = step(picture)
        picture.colorspace, picture.color_range = self._colorspace, self._color_range
        return picture


def opacity_of(region: Region, whole: Size, size: Size) -> Step:
    """Return a step that makes gray of a region of a picture whose luma is the opacity.

    Parameters
    ----------
    region, whole
        As for `StoredRegion`.
    size
        Size of the result.
    """
    to_gray, crop = _unchanged(whole, "gray"), _Crop(region)
    scale = scale_step(size, "gray", source_range=ColorRange.JPEG)
    return lambda picture: scale(crop(to_gray(picture)))


class _Crop:
    """Takes a region of pictures of one kind. The result shares their pixels."""

    def __init__(self, region: Region) -> None:
        self._region = region
        self._graph: Graph | None = None

    def __call__(self, picture: VideoFrame) -> VideoFrame:
        if self._graph is None:
            self._graph = self._cropping(picture)
        return filtered(self._graph, picture)

    def _cropping(self, picture: VideoFrame) -> Graph:
        x, y, width, height = map(str, self._region)
        try:
            return make_chain(picture, ("crop", {"x": x, "y": y, "w": width, "h": height, "exact": "1"}))
        except (av.FFmpegError, ValueError) as exc:
            raise UnsupportedMediaError(
                "a crop that is scaled needs libavfilter's crop filter, which this FFmpeg lacks"
            ) from exc


def _unchanged(size: Size, layout: str) -> Step:
    """Return a step to another layout that changes neither range nor matrix."""
    # swscale converts nothing if both sides have the same range and matrix, whichever these are.
    return scale_step(size, layout, matrix=Colorspace.DEFAULT, source_range=ColorRange.JPEG)


def _in_samples(layout: VideoFormat, region: Region, whole: Size, *, more: int = 0) -> Region:
    """Extend a region to whole samples of chroma, and by some samples more, within the picture."""
    steps = 64 // layout.chroma_width(64), 64 // layout.chroma_height(64)
    x, y = (max(0, start // step - more) * step for start, step in zip(region[:2], steps, strict=True))
    ends = region.x + region.width, region.y + region.height
    right, bottom = (
        min(full, (-(-end // step) + more) * step) for end, step, full in zip(ends, steps, whole, strict=True)
    )
    return Region(x, y, right - x, bottom - y)


@cache
def _can_be_cropped(layout: str) -> bool:
    # A Bayer pattern begins anew every two pixels, which its description does not say.
    return not layout.startswith("bayer") and keeps_layout(layout, ("crop", {"w": "8", "h": "8"}))


def _with_full_chroma(layout: VideoFormat) -> str:
    """Return a layout of the same values in which every pixel has its own samples."""
    depth = depth_of(layout)
    alpha = "a" if has_alpha(layout) else ""
    if is_rgb(layout):
        return f"gbr{alpha}p16{NATIVE}" if depth > 8 else f"gbr{alpha}p"
    if is_gray(layout):
        return layout.name if depth >= 8 else "gray"
    # Chroma is rounded here and once more after scaling, so it needs more than the 8 bits of the image.
    return f"yuv{alpha}444p{max(depth, _LEAST_CHROMA_BITS)}{NATIVE}"
