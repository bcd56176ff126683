"""Types of options and arguments, and facts about a video."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from fractions import Fraction
from typing import Any, Literal, TypeAlias, TypedDict

from numpy.typing import NDArray

from asyncframes._model.quoting import quoted

Image: TypeAlias = NDArray[Any]
"""``(height, width, channels)``, or ``(height, width)`` for gray; ``uint8``, or ``uint16`` for 16 bits."""

ImageFormat: TypeAlias = Literal["rgb24", "bgr24", "gray", "rgba", "rgb48", "gray16", "i420"]
"""Layout of `Frame.image`; see there."""

Fit: TypeAlias = Literal["stretch", "inside", "cover"]
"""How an image fits the size of `resize`: distorted, smaller, or cut centrally."""

ColorMatrix: TypeAlias = Literal["bt601", "bt709", "bt2020", "fcc", "smpte240m"]
"""Matrix between YUV and RGB; BT.2020 is that of non-constant luminance."""

TimeRange: TypeAlias = tuple[float | Fraction | None, float | Fraction | None]
"""From and up to, in seconds; ``None`` for an open end."""

OnCorrupt: TypeAlias = Literal["raise", "skip", "keep"]
"""What to do about damage: raise, omit the frame, or yield what the decoder made of it."""

SeekMode: TypeAlias = Literal["exact", "approximate"]
"""How frames are found: by a table of the stream's packets, or at the time index / average rate."""

Overwrite: TypeAlias = Literal["error", "skip", "replace"]
"""What to do if a frame's file already exists."""

StreamKind: TypeAlias = Literal["audio", "subtitle", "data", "attachment", "unknown"]
"""Kind of a stream that is not video."""

WhenShort: TypeAlias = Literal["repeat", "fewer"]
"""What to do if a range has fewer frames than requested: give some of them again, or each once."""

ProgressCallback: TypeAlias = Callable[[int], Awaitable[None] | None]
"""Called with 1 after each frame is stored; may be a coroutine function."""

PacketProgress: TypeAlias = Callable[[Literal["index", "decode"], int | None], None]
"""Called in a worker thread for each packet read, with the purpose and the expected number of packets."""

ImageWriter: TypeAlias = Callable[[str, Image], Awaitable[None] | None]
"""Stores an image at a path; may be a coroutine function."""


class PictureOptions(TypedDict, total=False):
    """How the images of frames are made.

    The options for sizes apply in this order: `autorotate` and `square_pixels`; `crop`;
    `resize` with `fit`, or `max_side` instead; `multiple_of`. Cropping, scaling and
    conversion take one pass, except if `square_pixels` stretches what `crop` or
    ``fit="cover"`` takes a part of: that is scaled twice.

    Attributes
    ----------
    image_format
        Layout of `Frame.image`: ``"rgb24"`` by default.
    crop
        ``(x, y, width, height)`` of the part to show, in pixels of the upright image from
        its upper left corner. A part that is not all inside the image is a `CropError`. An
        unscaled image equals that part of the whole image, bit for bit. A scaled one
        depends only on the part itself, unless its edges cut samples of chroma. For
        ``i420``, planes are computed for the part if a number of it, or a side of the
        whole image, is odd.
    resize
        ``(width, height)`` of the upright image; if one of them is ``None``, the aspect
        ratio is kept.
    fit
        What a full `resize` does with another aspect ratio. ``"stretch"`` (the default)
        distorts. ``"inside"`` keeps the ratio, without padding: the image fills one side,
        and the other is smaller. ``"cover"`` keeps the ratio and the size: the image shows the
        largest central part of that shape, to the nearest pixel.
    max_side
        Longest side, in place of `resize`: a larger image is scaled down, with its aspect
        ratio kept, and any other is not scaled. No limit by default.
    multiple_of
        Round both sides to the nearest multiple, at least one, with halves to the even
        multiple as by Python's `round`. If that is above `max_side`, or above the `resize` of
        ``fit="inside"``, the multiple below is used. The image is scaled to that
        size; nothing is cut or padded. 1 by default.
    square_pixels
        Stretch pixels along their shorter side to squares, so that the image
        looks right on a screen; a full `resize` that stretches takes precedence. Off by default.
    autorotate
        Rotate and mirror images as the display matrix requires. On by default.
    deinterlace
        Interpolate the missing rows of frames that are marked as interlaced,
        from their neighbours in time (bwdif). One frame in, one frame out, so
        indices stay the same; neighbouring frames are decoded as well. Off by default.
    tone_map
        Convert HDR (`VideoInfo.hdr`) to the range and primaries of BT.709;
        other frames are unchanged. Off by default: HDR frames keep their PQ or HLG
        values. Each decoder takes some seconds, once, to build the lookup table.
    accurate_color
        Interpolate chroma and round to nearest in 8-bit 4:2:0 and 4:2:2 too, at
        about 7 times the cost of the conversion. All other layouts, and resized
        images, are always converted this way. Off by default.
    color_matrix
        Convert YUV with this matrix rather than the stream's own (``"auto"``, the default).
    """

    image_format: ImageFormat
    crop: tuple[int, int, int, int] | None
    resize: tuple[int | None, int | None] | None
    fit: Fit
    max_side: int | None
    multiple_of: int
    square_pixels: bool
    autorotate: bool
    deinterlace: bool
    tone_map: bool
    accurate_color: bool
    color_matrix: Literal["auto"] | ColorMatrix


@dataclass(frozen=True, slots=True)
class VideoStreamInfo:
    """A video stream of a container, as its header describes it.

    Attributes
    ----------
    index
        Value for `stream_index`.
    codec
        As FFmpeg spells it.
    width, height
        Size as stored.
    is_default
        Whether the container marks the stream as one to play by default.
    is_cover_art
        Whether it is a picture attached to the file; never decoded.
    """

    index: int
    codec: str
    width: int
    height: int
    is_default: bool
    is_cover_art: bool


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """A stream of a container that is not video, as its header describes it.

    Attributes
    ----------
    index
        Its place among all streams of the container.
    kind
        What it holds. Fonts, for example, are attachments.
    codec
        As FFmpeg spells it; ``"unknown"`` if FFmpeg has no decoder.
    language
        As the container spells it, such as ``"eng"``; ``None`` if it names none.
    title
        ``None`` if it has none.
    duration_seconds_from_header
        Claim of the container, ``None`` if it makes none.
    is_default
        Whether the container marks the stream as one to play by default.
    sample_rate, channels
        Of audio; ``None`` if unknown.
    """

    index: int
    kind: StreamKind
    codec: str
    language: str | None
    title: str | None
    duration_seconds_from_header: float | None
    is_default: bool
    sample_rate: int | None
    channels: int | None


class Tags(Mapping[str, str]):
    """A read-only mapping of names to texts, which can be hashed and pickled."""

    __slots__ = ("_texts",)

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = dict(texts)

    def __getitem__(self, name: str) -> str:
        return self._texts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)

    def __hash__(self) -> int:
        return hash(frozenset(self._texts.items()))

    def __repr__(self) -> str:
        shown = ", ".join(f"{quoted(name)}: {quoted(text, longest=80)}" for name, text in self.items())
        return f"{{{shown}}}"


NO_TAGS = Tags({})


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """Facts about a video, from its container and decoder.

    Attributes
    ----------
    width, height
        Size of `Frame.image`, after rotation, unless options change it. `crop` counts in
        these pixels, or in square ones with ``square_pixels=True``.
    coded_width, coded_height
        Size as stored, before rotation.
    rotation
        Degrees counterclockwise, 0, 90, 180 or 270, that the display matrix
        requires; already applied to frames.
    mirrored
        Whether the display matrix also mirrors; already applied to frames.
    average_rate
        Frames per second; may vary inside. ``None`` when unknown.
    time_base
        Seconds per tick of `Frame.pts`.
    codec, pixel_format
        As FFmpeg spells them.
    container
        Name of FFmpeg's demuxer.
    sample_aspect_ratio
        Shape of a pixel as stored, width over height; not applied unless
        ``square_pixels=True``.
    duration_seconds_from_header, frames_from_header
        Claims of the container, ``None`` if it makes none; `Video.count`
        returns the exact number.
    color_space, color_range, color_primaries, color_transfer
        As numbers of ITU-T H.273; 2 means unspecified. `color_range` is
        ``"limited"``, ``"full"`` or ``"unspecified"``.
    color_matrix
        Matrix that converts frames: the stream's own, or a guess if that is
        unspecified. ``"rgb"`` if none is needed; ``"unsupported"`` if decoding
        raises an error without ``color_matrix=``.
    hdr
        ``"pq"`` or ``"hlg"`` (ITU-R BT.2100), ``None`` for SDR.
    has_alpha
        Whether ``rgba`` frames may be transparent.
    is_interlaced
        Whether the first frame is marked as interlaced.
    stream_index
        Which stream of the container is decoded.
    video_streams
        All video streams of the container, cover art included.
    size_bytes
        Size of the source, ``None`` if unknown.
    seek_mode
        How frames are found. With ``"approximate"``, `Frame.index` is the requested
        index, which may differ from the frame's true place.
    creation_time
        When the file was made, by its container; it has a time zone. Cameras without a clock
        write any time. ``None`` if the container has none.
    tags
        Other metadata of the container, such as ``title`` and ``encoder``, with names as FFmpeg
        spells them; read-only. Up to 64 tags of 1000 characters; longer text is cut. URLs in
        them lack user info, query and fragment.
    other_streams
        All streams that are not video: audio, subtitles and so on.
    """

    width: int
    height: int
    coded_width: int
    coded_height: int
    rotation: int
    mirrored: bool
    average_rate: Fraction | None
    time_base: Fraction
    codec: str
    pixel_format: str
    container: str
    sample_aspect_ratio: Fraction
    duration_seconds_from_header: float | None
    frames_from_header: int | None
    color_space: int
    color_range: Literal["limited", "full", "unspecified"]
    color_primaries: int
    color_transfer: int
    color_matrix: ColorMatrix | Literal["rgb", "unsupported"]
    hdr: Literal["pq", "hlg"] | None
    has_alpha: bool
    is_interlaced: bool
    stream_index: int
    video_streams: tuple[VideoStreamInfo, ...]
    size_bytes: int | None
    seek_mode: SeekMode = "exact"
    creation_time: datetime | None = None
    tags: Mapping[str, str] = NO_TAGS
    other_streams: tuple[StreamInfo, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; fractions become ``"num/den"`` text, times ISO 8601."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}


def _plain(value: Any) -> Any:
    match value:
        case Fraction():
            return f"{value.numerator}/{value.denominator}"
        case datetime():
            return value.isoformat()
        case Mapping():
            return dict(value)
        case tuple():
            return [_plain(one) for one in value]
        case VideoStreamInfo() | StreamInfo():
            return asdict(value)
    return value
