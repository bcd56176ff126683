"""Codec threads: starting them at a low priority, and waiting for them before they are freed."""

from __future__ import annotations

import os
import sys
import threading

import av
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream


def open_with_modest_threads(codec: VideoCodecContext, *, idle: bool) -> None:
    """Open a codec so that its threads do not interrupt others when they wake. Only Linux supports this.

    Under ``SCHED_BATCH`` of sched(7) they get the same share of the CPU as under the
    default policy. Threads inherit the policy of the thread that starts them. Since that
    thread may not be allowed to restore its own policy, a temporary one opens the codec.

    Parameters
    ----------
    idle
        Whether to run them only while nothing else needs the CPU (``SCHED_IDLE``).
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
        # A sandbox may forbid the policy: the codec then opens under the default one, when it first decodes.
        # A codec that cannot be opened raises its error again at that point.
        pass


def rest(stream: VideoStream) -> None:
    """Wait until all threads of a codec are idle. Only then may the codec be freed.

    PyAV holds the GIL while it frees a codec, and FFmpeg then waits for each frame thread
    that still decodes. If such a thread waits for the GIL in PyAV's log callback
    (`av.logging.set_level`), the two deadlock. `flush_buffers` releases the GIL while it
    waits for the threads, and they then sleep until the next packet.
    """
    if stream.codec_context is not None:
        stream.codec_context.flush_buffers()


def release(fields: dict[str, object], *names: str) -> None:
    """Drop a decoder's stream and the named fields that refer to it. The last reference frees the codec."""
    stream = fields.pop("stream", None)
    if isinstance(stream, VideoStream):
        rest(stream)
    for name in names:
        fields.pop(name, None)
