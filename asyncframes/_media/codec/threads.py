"""How many threads a codec gets, so that what it outputs is what one thread outputs.

With damaged input FFmpeg's threads are not equal to one thread. Seen with random damage to real
files, four threads against one:

- Frame threads of VP8, VP9, HEVC, Theora and MPEG-4 output other pictures, or lose some, without a sign.
- Frame threads of H.264 show damage too, but late: on a picture that is decoded earlier and shown later.
- Slice threads of HEVC, VP9, H.264 and MPEG-2 lose pictures or damage too.
- dav1d, which has threads of its own, never differed but for an error that was lost at the end.

So H.264 and AV1 have threads, watched for a sign of damage, and codecs whose pictures all stand alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

_FRAME_THREADS = {"h264"}
_OWN_THREADS = {"libdav1d"}
_SLICE_THREADS = {"cfhd", "dnxhd", "ffv1", "prores"}

_STRICT = {"h264", "hevc", "mjpeg"}
_MARKS_LATE = {"h264"}


@dataclass(frozen=True, slots=True)
class CodecThreads:
    """Threads of a codec.

    Attributes
    ----------
    count
        How many.
    kind
        What FFmpeg calls the way they share the work.
    run_ahead
        Whether packets are decoded side by side, so that damage shows later than what it spoils.
    """

    count: int
    kind: Literal["AUTO", "SLICE"]
    run_ahead: bool = False


def threads_for(codec: str, wanted: int) -> CodecThreads:
    """Choose the threads of a codec, at most as many as wanted."""
    if codec in _FRAME_THREADS:
        return CodecThreads(wanted, "AUTO", run_ahead=wanted > 1)
    if codec in _OWN_THREADS:
        return CodecThreads(wanted, "SLICE", run_ahead=wanted > 1)
    return CodecThreads(wanted if codec in _SLICE_THREADS else 1, "SLICE")


def is_strict(codec: str) -> bool:
    """Whether a decoder hides damage that it reports when it is asked to (``err_detect=explode``)."""
    return codec in _STRICT


def marks_late(codec: str) -> bool:
    """Whether a decoder conceals damage without an error, and tells by a mark on the picture alone.

    Pictures that refer to it may be shown, and so come out, before it.
    """
    return codec in _MARKS_LATE
