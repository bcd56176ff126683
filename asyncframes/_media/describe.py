"""Describes a video from its header and its first picture."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from asyncframes._media.bitstream.packet_syntax import PacketSyntax
from asyncframes._media.codec.alpha import announces_alpha
from asyncframes._media.container.opening import average_rate, is_cover_art, time_base_of
from asyncframes._media.container.packet_reader import PacketReader
from asyncframes._media.image.layout import has_alpha, matrix_used, orientation_of
from asyncframes._media.metadata import creation_time_of, other_streams_of, tags_of
from asyncframes._media.pyav import codec_name, fraction_of
from asyncframes._model.color import hdr_of, matrix_of
from asyncframes._model.timing import Orientation
from asyncframes._types import ColorMatrix, VideoInfo, VideoStreamInfo

_SQUARE = Fraction(1)
_RANGES: dict[int, Literal["limited", "full"]] = {1: "limited", 2: "full"}


def describe(reader: PacketReader, picture: VideoFrame | None, size_bytes: int | None) -> VideoInfo:
    """Collect what the header and the first picture tell. `picture` is ``None`` if nothing decodes."""
    container, stream = reader.container, reader.stream
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
        average_rate=average_rate(stream),
        time_base=time_base,
        codec=reader.codec_name,
        pixel_format=picture.format.name if picture is not None else codec.pix_fmt or "unknown",
        container=container.format.name,
        sample_aspect_ratio=pixel_shape_of(stream),
        duration_seconds_from_header=float(ticks * time_base) if ticks else seconds,
        frames_from_header=stream.frames or None,
        color_space=int(colors.colorspace),
        color_range=_RANGES.get(int(colors.color_range), "unspecified"),
        color_primaries=int(colors.color_primaries),
        color_transfer=int(colors.color_trc),
        color_matrix=_matrix_of_header(stream) if picture is None else matrix_used(picture),
        hdr=hdr_of(int(colors.color_trc)),
        has_alpha=announces_alpha(stream) or (picture is not None and has_alpha(picture.format)),
        is_interlaced=picture is not None and picture.interlaced_frame,
        stream_index=stream.index,
        video_streams=tuple(_describe_stream(other, reader) for other in container.streams.video),
        size_bytes=size_bytes,
        creation_time=creation_time_of(container.metadata),
        tags=tags_of(container.metadata),
        other_streams=tuple(other_streams_of(container)),
    )


def pixel_shape_of(stream: VideoStream) -> Fraction:
    """Return the width of a pixel over its height, as stored. The container overrides the codec."""
    return fraction_of(stream.sample_aspect_ratio, stream.codec_context.sample_aspect_ratio) or _SQUARE


def _matrix_of_header(stream: VideoStream) -> ColorMatrix | Literal["unsupported"]:
    codec = stream.codec_context
    return matrix_of(
        int(codec.colorspace),
        int(codec.color_primaries),
        int(codec.color_trc),
        width=codec.width,
        height=codec.height,
    )


def _describe_stream(stream: VideoStream, reader: PacketReader) -> VideoStreamInfo:
    codec = stream.codec_context
    return VideoStreamInfo(
        index=stream.index,
        codec=reader.codec_name if stream.index == reader.stream.index else codec_name(codec),
        width=0 if codec is None else codec.width,
        height=0 if codec is None else codec.height,
        is_default=bool(stream.disposition & Disposition.default),
        is_cover_art=is_cover_art(stream),
    )


@dataclass(frozen=True, slots=True)
class CodingHints:
    """Signs from a codec that packets may not match frames.

    Attributes
    ----------
    has_fields
        Pictures are interlaced: two packets may make one frame.
    reorders
        Frames are decoded in a different order than they are shown.
    syntax
        What the bytes of its packets tell.
    """

    has_fields: bool
    reorders: bool
    syntax: PacketSyntax


def coding_hints(stream: VideoStream, syntax: PacketSyntax, picture: VideoFrame | None) -> CodingHints:
    """Collect the signs from the codec and the first picture."""
    return CodingHints(
        has_fields=picture is not None and picture.interlaced_frame,
        reorders=bool(stream.codec_context.has_b_frames),
        syntax=syntax,
    )
