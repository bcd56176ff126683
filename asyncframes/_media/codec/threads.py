"""How many threads a codec gets, so that what it outputs is what one thread outputs.

With damaged input FFmpeg's threads are not equal to one thread. Seen with random damage to real
files, four threads against one:

- Frame threads of VP8, VP9, HEVC, Theora and MPEG-4 output other pictures, or lose some, without a sign.
- Frame threads of H.264 show damage too, but late: on a picture that is decoded earlier and shown later.
- Slice threads of HEVC, VP9, H.264 and MPEG-2 lose pictures or damage too.
- dav1d, which has threads of its own, outputs damaged pictures without a sign when it decodes several at
  once. With one picture at a time (``max_frame_delay=1``) its threads share the work inside each.

So H.264 has threads, watched for a sign of damage, AV1, and codecs whose pictures all stand alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
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
        FFmpeg's name for how they share the work.
    run_ahead
        Whether packets are decoded side by side, so that damage shows later than what it spoils.
    options
        What the codec is told besides.
    """

    count: int
    kind: Literal["AUTO", "SLICE"]
    run_ahead: bool = False
    options: dict[str, str] = field(default_factory=dict)


def threads_for(codec: str, wanted: int) -> CodecThreads:
    """Choose the threads of a codec, at most as many as wanted."""
    if codec in _FRAME_THREADS:
        return CodecThreads(wanted, "AUTO", run_ahead=wanted > 1)
    if codec in _OWN_THREADS:
        return CodecThreads(wanted, "SLICE", options={"max_frame_delay": "1"})
    return CodecThreads(wanted if codec in _SLICE_THREADS else 1, "SLICE")


def is_strict(codec: str) -> bool:
    """Whether a decoder hides damage that it reports when it is asked to (``err_detect=explode``)."""
    return codec in _STRICT


def marks_late(codec: str) -> bool:
    """Whether a decoder conceals damage without an error, and tells by a mark on the picture alone.

    Pictures that refer to it may be shown, and so come out, before it.
    """
    return codec in _MARKS_LATE
