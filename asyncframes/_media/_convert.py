"""Decoded pictures to arrays, and what a picture tells of its stream."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, cast

import numpy as np
from av.container import InputContainer
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from asyncframes._media._container import time_base_of
from asyncframes._timing import Orientation, orientation_from_degrees, orientation_from_matrix
from asyncframes._types import Image, ImageFormat, VideoInfo

_SQUARE = Fraction(1)
_RANGES: dict[int, Literal["limited", "full"]] = {1: "limited", 2: "full"}


class Converter:
    """Turns decoded pictures into upright arrays of one format.

    One reformatter serves the whole stream, in one thread: a new one per
    picture, or its automatic threads, costs three times as much on small frames.
    """

    def __init__(self, image_format: ImageFormat) -> None:
        self._format = image_format
        self._reformatter = VideoReformatter()
        self._orientation = Orientation()
        self._rotation: int | None = None

    def __call__(self, picture: VideoFrame) -> Image:
        """Return the picture as a C-contiguous array that the caller owns."""
        converted = self._reformatter.reformat(picture, format=self._format, threads=1)
        pixels = cast("Image", converted.to_ndarray())
        return np.ascontiguousarray(_upright(pixels, self._orientation_of(picture)))

    def _orientation_of(self, picture: VideoFrame) -> Orientation:
        """Read the matrix only where the cheaper angle says that it is another one."""
        if picture.rotation != self._rotation:
            self._rotation = picture.rotation
            self._orientation = orientation_of(picture)
        return self._orientation


def _upright(pixels: Image, orientation: Orientation) -> Image:
    if orientation.transpose:
        pixels = pixels.swapaxes(0, 1)
    if orientation.flip_x:
        pixels = pixels[:, ::-1]
    if orientation.flip_y:
        pixels = pixels[::-1]
    return pixels


def orientation_of(picture: VideoFrame) -> Orientation:
    """Read the display matrix that the decoder attached to a picture."""
    try:
        matrix = picture.side_data.get(SideDataType.DISPLAYMATRIX)  # type: ignore[call-overload]  # the stub says str
    except ValueError:
        # PyAV 18 refuses all side data of a frame where one kind is newer than its list (3D displays, say).
        return orientation_from_degrees(picture.rotation)
    return Orientation() if matrix is None else orientation_from_matrix(bytes(matrix))


def describe(
    container: InputContainer, stream: VideoStream, picture: VideoFrame | None, size_bytes: int | None
) -> VideoInfo:
    """Collect what the header and the first picture say; `picture` is ``None`` where nothing decodes."""
    codec = stream.codec_context
    orientation = Orientation() if picture is None else orientation_of(picture)
    coded = (codec.width, codec.height) if picture is None else (picture.width, picture.height)
    width, height = coded[::-1] if orientation.transpose else coded
    colors = codec if picture is None else picture
    time_base = time_base_of(stream)
    ticks = stream.duration
    seconds = (container.duration / 1_000_000) if container.duration else None
    return VideoInfo(
        width=width,
        height=height,
        coded_width=coded[0],
        coded_height=coded[1],
        rotation=orientation.rotation,
        mirrored=orientation.mirrored,
        average_rate=stream.average_rate or stream.guessed_rate or None,
        time_base=time_base,
        codec=codec.name,
        pixel_format=picture.format.name if picture is not None else codec.pix_fmt or "unknown",
        container=container.format.name,
        sample_aspect_ratio=stream.sample_aspect_ratio or codec.sample_aspect_ratio or _SQUARE,
        duration_seconds_from_header=float(ticks * time_base) if ticks else seconds,
        frames_from_header=stream.frames or None,
        color_space=int(colors.colorspace),
        color_range=_RANGES.get(int(colors.color_range), "unspecified"),
        color_primaries=int(colors.color_primaries),
        color_transfer=int(colors.color_trc),
        stream_index=stream.index,
        size_bytes=size_bytes,
    )


@dataclass(frozen=True, slots=True)
class CodingHints:
    """What a codec says that makes packets poor witnesses of frames.

    Attributes
    ----------
    has_fields
        Pictures are interlaced: two packets may make one frame.
    reorders
        Frames are decoded in another order than they are shown.
    """

    has_fields: bool = False
    reorders: bool = False


def coding_hints(stream: VideoStream, picture: VideoFrame | None) -> CodingHints:
    """Ask the codec and the first picture."""
    return CodingHints(
        has_fields=picture is not None and picture.interlaced_frame,
        reorders=bool(stream.codec_context.has_b_frames),
    )
