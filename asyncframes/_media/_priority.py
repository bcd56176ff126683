"""Codec threads that leave the CPU to the threads which wait for them."""

from __future__ import annotations

import os
import sys
import threading

import av
from av.video.codeccontext import VideoCodecContext


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
