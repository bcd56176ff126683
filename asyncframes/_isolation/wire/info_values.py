"""The facts of a video as JSON values, checked when they are read back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

from asyncframes._isolation.wire.messages import MalformedError
from asyncframes._isolation.wire.plain_values import (
    above_zero,
    flag,
    fraction,
    many,
    moment,
    number,
    one_of,
    or_none,
    read_fields,
    side,
    text,
    whole,
)
from asyncframes._types import ColorMatrix, SeekMode, StreamInfo, StreamKind, Tags, VideoInfo, VideoStreamInfo

_MOST_TAGS = 64


def info_as_facts(info: VideoInfo) -> dict[str, Any]:
    """Return the facts of a video as JSON values."""
    return info.as_dict()


def info_from_facts(facts: Any, size_bytes: int | None, *, max_pixels: int) -> VideoInfo:
    """Return the facts of a video that `info_as_facts` turned into JSON values.

    Parameters
    ----------
    facts
        The JSON values.
    size_bytes
        The size of the source, which the decoding process only repeats.
    max_pixels
        Most pixels of a picture. The process has refused larger ones.

    Raises
    ------
    MalformedError
        A value has another type, or is out of range.
    """
    readers = _INFO | {"size_bytes": lambda _value: size_bytes}
    info = VideoInfo(**read_fields(readers, facts))
    if max(info.width * info.height, info.coded_width * info.coded_height) > max_pixels:
        raise MalformedError(f"a picture of {info.width}x{info.height} pixels is larger than allowed")
    return info


def _tags(value: Any) -> Tags:
    if not isinstance(value, dict) or len(value) > _MOST_TAGS:
        raise MalformedError("tags are not an object, or are too many")
    return Tags({text(name): text(content) for name, content in value.items()})


def _degrees(value: Any) -> int:
    return whole(value, 0, 359)


_VIDEO_STREAM: dict[str, Callable[[Any], Any]] = {
    "index": whole,
    "codec": text,
    "width": whole,
    "height": whole,
    "is_default": flag,
    "is_cover_art": flag,
}
_STREAM: dict[str, Callable[[Any], Any]] = {
    "index": whole,
    "kind": one_of(*get_args(StreamKind)),
    "codec": text,
    "language": or_none(text),
    "title": or_none(text),
    "duration_seconds_from_header": or_none(number),
    "is_default": flag,
    "sample_rate": or_none(whole),
    "channels": or_none(whole),
}
_INFO: dict[str, Callable[[Any], Any]] = {
    "width": side,
    "height": side,
    "coded_width": side,
    "coded_height": side,
    "rotation": _degrees,
    "mirrored": flag,
    "average_rate": or_none(fraction),
    "time_base": above_zero,
    "codec": text,
    "pixel_format": text,
    "container": text,
    "sample_aspect_ratio": above_zero,
    "duration_seconds_from_header": or_none(number),
    "frames_from_header": or_none(whole),
    "color_space": whole,
    "color_range": one_of("limited", "full", "unspecified"),
    "color_primaries": whole,
    "color_transfer": whole,
    "color_matrix": one_of(*get_args(ColorMatrix), "rgb", "unsupported"),
    "hdr": one_of("pq", "hlg", None),
    "has_alpha": flag,
    "is_interlaced": flag,
    "stream_index": whole,
    "video_streams": many(lambda one: VideoStreamInfo(**read_fields(_VIDEO_STREAM, one))),
    "size_bytes": or_none(whole),
    "seek_mode": one_of(*get_args(SeekMode)),
    "creation_time": or_none(moment),
    "tags": _tags,
    "other_streams": many(lambda one: StreamInfo(**read_fields(_STREAM, one))),
}
