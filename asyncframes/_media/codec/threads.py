"""Chooses codec threads whose output equals that of one thread.

With damaged input, FFmpeg's output depends on its threads. Observed with random damage to real files,
four threads against one:

- Frame threads of VP8, VP9, HEVC, Theora and MPEG-4 output different pictures or lose some, unreported.
- Frame threads of H.264 report damage, but late: on a picture that is decoded earlier and shown later.
- Slice threads of HEVC, VP9, H.264 and MPEG-2 lose pictures, or lose the report of damage.
- dav1d has its own threads. When it decodes several pictures at once, it outputs damaged ones and reports
  nothing. With one picture at a time (``max_frame_delay=1``) its threads share the work inside each picture.

So several threads are used for H.264 (watched for signs of damage), for AV1, and for intra-only codecs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

_FRAME_THREADS = {"h264"}
_OWN_THREADS = {"libdav1d"}
_SLICE_THREADS = {"cfhd", "dnxhd", "ffv1", "prores"}

# A thread marks a picture once it has concealed the damage, and the thread of the next packet may output the
# picture before that. FFmpeg's guess at motion takes most of this time. It is not needed: one thread decodes
# damaged pictures again, and conceals as FFmpeg does by default.
_QUICK_CONCEALMENT = {"ec": "favor_inter"}

_STRICT = {"h264", "hevc", "mjpeg"}
_MARKS_LATE = {"h264"}


@dataclass(frozen=True, slots=True)
class CodecThreads:
    """Threads of a codec.

    Attributes
    ----------
    count
        Number of threads.
    kind
        FFmpeg's name for how they share the work.
    run_ahead
        Whether packets are decoded in parallel, so that damage may show after the pictures it spoils.
    options
        Further options of the codec.
    """

    count: int
    kind: Literal["AUTO", "SLICE"]
    run_ahead: bool = False
    options: dict[str, str] = field(default_factory=dict)


def threads_for(codec: str, wanted: int) -> CodecThreads:
    """Choose the threads of a codec, at most the wanted number."""
    if codec in _FRAME_THREADS:
        options = _QUICK_CONCEALMENT if wanted > 1 else {}
        return CodecThreads(wanted, "AUTO", run_ahead=wanted > 1, options=options)
    if codec in _OWN_THREADS:
        return CodecThreads(wanted, "SLICE", options={"max_frame_delay": "1"})
    return CodecThreads(wanted if codec in _SLICE_THREADS else 1, "SLICE")


def is_strict(codec: str) -> bool:
    """Whether a decoder hides damage unless told to report it (``err_detect=explode``)."""
    return codec in _STRICT


def marks_late(codec: str) -> bool:
    """Whether a decoder conceals damage without an error, and only marks the damaged picture.

    Pictures that refer to it may come out before it.
    """
    return codec in _MARKS_LATE
