"""Codec threads: how they are started, and brought to rest before they end."""

from __future__ import annotations

import os
import sys
import threading

import av
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream


def open_with_modest_threads(codec: VideoCodecContext, *, idle: bool) -> None:
    """Open a codec such that its threads do not interrupt others when they wake; only Linux has that.

    Under ``SCHED_BATCH`` of sched(7) they get the same share of the CPU as under
    the usual policy. They inherit it from the thread that starts them, which could
    not take its own back.

    Parameters
    ----------
    idle
        Whether they shall run only while nothing else wants the CPU (``SCHED_IDLE``).
    """
    if sys.platform != "linux":
        return
    policy = os.SCHED_IDLE if idle else os.SCHED_BATCH
    starter = threading.Thread(target=_open, args=(codec, policy), name="asyncframes codec")
    starter.start()
    starter.join()


def _open(codec: VideoCodecContext, policy: int) -> None:
    try:
        os.sched_setscheduler(0, policy, os.sched_param(0))
        codec.open(strict=False)
    except (OSError, av.FFmpegError):
        # A sandbox may forbid the one; the other comes again, with its reason, when something is decoded.
        pass


def rest(stream: VideoStream) -> None:
    """Wait until no thread of a codec works any more; only then may the codec be freed.

    PyAV frees a codec with the GIL held, and FFmpeg waits in there for each frame thread
    that still decodes. Such a thread may wait for the GIL in PyAV's log callback
    (`av.logging.set_level`), and both would wait for good. `flush_buffers` waits for
    all of them with the GIL released; from then on they sleep until there is a packet.
    """
    if stream.codec_context is not None:
        stream.codec_context.flush_buffers()


def release(fields: dict[str, object], *names: str) -> None:
    """Drop the stream of a decoder and the fields that refer to it; the codec goes with the last of them."""
    stream = fields.pop("stream", None)
    if isinstance(stream, VideoStream):
        rest(stream)
    for name in names:
        fields.pop(name, None)
