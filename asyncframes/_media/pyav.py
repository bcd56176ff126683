"""Differences between the supported versions of PyAV: 18.1, the last for Python 3.11, and 19."""

from __future__ import annotations

import importlib
import pkgutil
from fractions import Fraction
from typing import Any, Protocol, cast

import av
from av.codec.codec import UnknownCodecError
from av.codec.context import CodecContext
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

# PyAV 18 raises by default if metadata is not UTF-8. PyAV 19 always decodes it this way, without an argument.
_METADATA_ARGUMENTS: dict[str, Any] = (
    {"metadata_errors": "surrogateescape"} if int(av.__version__.split(".", 1)[0]) < 19 else {}
)


# A program, and downloads of samples.
_OTHER_MODULES = {"av.__main__", "av.datasets"}


class Ratio(Protocol):
    """A ratio: a `Fraction` in PyAV 18, an `AVRational` in 19."""

    @property
    def numerator(self) -> int:
        """The numerator."""

    @property
    def denominator(self) -> int:
        """The denominator; 0 if the file says 0."""


def import_late_modules() -> None:
    """Import what PyAV imports when a file first needs it, such as what decodes subtitles.

    A process that cannot open files afterwards needs all of it.
    """
    for module in pkgutil.walk_packages(av.__path__, "av."):
        if module.name not in _OTHER_MODULES:
            importlib.import_module(module.name)


def open_input(file: object, *, options: dict[str, str], buffer_size: int, **more: Any) -> InputContainer:
    """Open a container for reading. Its metadata may have any encoding.

    Parameters
    ----------
    file
        A readable object, or an address.
    options
        FFmpeg's options for the container and its streams.
    buffer_size
        Bytes that FFmpeg requests in one read.
    **more
        Further arguments of `av.open`.

    Raises
    ------
    av.FFmpegError, ValueError
        FFmpeg cannot open the bytes.
    """
    opened = av.open(file, "r", options=options, buffer_size=buffer_size, **_METADATA_ARGUMENTS, **more)
    return cast("InputContainer", opened)


def packet_of(data: bytes) -> Packet[VideoStream]:
    """Copy bytes into a packet whose memory FFmpeg owns, with the zeros behind it that decoders read.

    A codec thread that frees memory owned by Python waits for the GIL, possibly forever.
    """
    packet = cast("Packet[VideoStream]", Packet(len(data)))
    packet.update(data)
    return packet


def fraction_of(*ratios: Ratio | None) -> Fraction | None:
    """Return the first ratio that is set, ``None`` if none is.

    A ratio that is not set is ``None`` in PyAV 18, 0/1 in 19, and n/0 if the file says so.
    """
    for ratio in ratios:
        if ratio is not None and ratio.numerator and ratio.denominator:
            return Fraction(ratio.numerator, ratio.denominator)
    return None


def codec_name(codec: CodecContext | None) -> str:
    """Return the name of a codec, ``"unknown"`` if it has none or could not be opened.

    `CodecContext.name` crashes the process in PyAV 19 if FFmpeg could not open the codec.
    """
    if codec is None:
        return "unknown"
    try:
        return codec.codec.name
    except UnknownCodecError:
        return "unknown"


def side_data_of(picture: VideoFrame) -> Any:
    """Return the side data of a picture by type. PyAV 18 declares another type for the mapping.

    Raises
    ------
    ValueError
        The picture has side data of a type that PyAV 18 does not know (3D displays, for example).
    """
    return picture.side_data
