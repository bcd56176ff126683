"""Codec threads that give way to everything else."""

from __future__ import annotations

import os
import sys
import threading

import av
from av.video.codeccontext import VideoCodecContext


def open_at_idle_priority(codec: VideoCodecContext) -> None:
    """Open a codec such that its threads run while nothing else wants the CPU; only Linux has that.

    They inherit their scheduling policy, ``SCHED_IDLE`` of sched(7), from the thread that starts them,
    which could not take its own back.
    """
    if sys.platform != "linux":
        return
    starter = threading.Thread(target=_open, args=(codec,), name="asyncframes codec")
    starter.start()
    starter.join()


def _open(codec: VideoCodecContext) -> None:
    try:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        codec.open(strict=False)
    except (OSError, av.FFmpegError):
        # A sandbox may forbid the one; the other comes again, with its reason, when something is decoded.
        pass
