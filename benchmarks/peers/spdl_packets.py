"""SPDL."""

from __future__ import annotations

from importlib import import_module
from typing import Any, ClassVar

import numpy as np

from benchmarks.peers.base import NO_READER, NO_WRITER, Images, Peer, Take, take_all, versions
from benchmarks.peers.job import Job


class Spdl(Peer):
    """spdl.io: it demuxes a range of times, and decodes its packets at once."""

    name = "SPDL"
    package = "spdl"
    settings = (
        "`demux_video(path, timestamp=…)`, then `decode_packets` for consecutive frames, otherwise "
        "`sample_decode_video`; `convert_frames`"
    )
    lacks: ClassVar[dict[str, str]] = {
        "png": NO_WRITER,
        "jpeg": NO_WRITER,
        "steps": NO_READER,
        "opened": NO_READER,
    }

    def __init__(self) -> None:
        self._io: Any = import_module("spdl.io")

    def version(self) -> str:
        return versions("spdl", "spdl_io")

    def _converted(self, frames: Any) -> Images:
        return np.asarray(self._io.to_numpy(self._io.convert_frames(frames)))

    def _decoded(self, job: Job, indices: list[int], threads: int) -> Images:
        """Decode all frames from the first to the last."""
        half = job.seconds(1) / 2
        window = job.seconds(indices[0]) - half, job.seconds(indices[-1]) + half
        packets = self._io.demux_video(job.address, timestamp=window)
        config = self._io.decode_config(decoder_options={"threads": str(threads)})
        return self._converted(self._io.decode_packets(packets, decode_config=config))

    def sequence(self, job: Job, take: Take) -> None:
        take_all(self._decoded(job, job.indices, threads=0), take)

    def scattered(self, job: Job, take: Take) -> None:
        for frame in self._io.sample_decode_video(self._io.demux_video(job.address), job.indices):
            take(self._converted([frame])[0])

    def resized(self, job: Job, take: Take) -> None:
        width, height = job.size
        scale = self._io.get_video_filter_desc(scale_width=width, scale_height=height, scale_mode=None)
        packets = self._io.demux_video(job.address)
        for frame in self._io.sample_decode_video(packets, job.indices, filter_desc=scale):
            take(self._converted([frame])[0])

    def clip(self, job: Job, indices: list[int]) -> Images:
        stride = indices[1] - indices[0]
        return np.ascontiguousarray(self._decoded(job, indices, threads=1)[::stride])

    def last(self, job: Job, take: Take) -> int:
        packets = self._io.demux_video(job.address)
        count = len(packets)
        [frame] = self._io.sample_decode_video(packets, [count - 1])
        take(self._converted([frame])[0])
        return count
