"""What differs between the versions of PyAV that are supported: 18.1, the last for Python 3.11, and 19."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Protocol, cast

import av
from av.container import InputContainer
from av.video.frame import VideoFrame

# PyAV 19 decodes metadata that is not UTF-8 in this way and has no argument for it; 18 raises by default.
_METADATA_ARGUMENTS: dict[str, Any] = (
    {"metadata_errors": "surrogateescape"} if int(av.__version__.split(".", 1)[0]) < 19 else {}
)


class Ratio(Protocol):
    """A `Fraction`, as PyAV 18 gives it, or an `AVRational`, as 19 does."""

    @property
    def numerator(self) -> int:
        """Integer above the line."""

    @property
    def denominator(self) -> int:
        """Integer below the line; 0 where a file says so."""


def open_input(file: object, *, options: dict[str, str], buffer_size: int, **more: Any) -> InputContainer:
    """Open a container for reading; metadata may have any encoding.

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
        FFmpeg refuses the bytes.
    """
    opened = av.open(file, "r", options=options, buffer_size=buffer_size, **_METADATA_ARGUMENTS, **more)
    return cast("InputContainer", opened)


def fraction_of(*ratios: Ratio | None) -> Fraction | None:
    """Return the first ratio that is set, ``None`` where none is.

    A ratio that is unset is ``None`` in PyAV 18 and 0/1 in 19, and n/0 where a file says so.
    """
    for ratio in ratios:
        if ratio is not None and ratio.numerator and ratio.denominator:
            return Fraction(ratio.numerator, ratio.denominator)
    return None


def side_data_of(picture: VideoFrame) -> Any:
    """Return the side data of a picture by its type, for which PyAV 18 declares another mapping.

    Raises
    ------
    ValueError
        One kind is newer than PyAV 18's list of them (3D displays, say).
    """
    return picture.side_data
