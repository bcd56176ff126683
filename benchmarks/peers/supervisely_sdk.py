"""Supervisely's own functions, in the SDK's own environment."""

from __future__ import annotations

import asyncio
import os
from importlib import import_module
from typing import Any, ClassVar

from benchmarks.peers.base import NO_SHAPES, Peer, Take
from benchmarks.peers.job import Job

NO_FILES = "reads from its server only"
RANGES_ONLY = "has ranges of frames only"

VIDEO_ID = 1
TOKEN = "tok3n" * 8


class SuperviselySdk(Peer):
    """`async_stream_video_frames` and `async_stream_video_frames_to_dir`, with the SDK's `Api` object."""

    name = "Supervisely SDK"
    package = "supervisely"
    settings = (
        "`async_stream_video_frames` and `async_stream_video_frames_to_dir` with their defaults, from a "
        "loopback server that imitates the platform; it counts while it lists the packets"
    )
    lacks: ClassVar[dict[str, str]] = {**NO_SHAPES, "scattered": RANGES_ONLY, "near_end": NO_FILES}
    on_platform = True

    def __init__(self) -> None:
        # The SDK would try TLS on the loopback server first.
        os.environ["SUPERVISELY_SKIP_HTTPS_USER_HELPER_CHECK"] = "true"
        self._av: Any = import_module("av")
        self._sly: Any = import_module("supervisely")
        self._sampling: Any = import_module("supervisely.video.sampling")
        import_module("supervisely.imaging.image")

    def version(self) -> str:
        versions = f"supervisely {self._sly.__version__}, av {self._av.__version__}"
        return f"{versions}, FFmpeg {self._av.ffmpeg_version_info}"

    def _api(self, job: Job) -> Any:
        return self._sly.Api(job.address, TOKEN, retry_count=1)

    def sequence(self, job: Job, take: Take) -> None:
        self._stream(job, job.indices[0], job.indices[-1], take)

    def scattered(self, job: Job, take: Take) -> None:
        raise NotImplementedError(RANGES_ONLY)

    def last(self, job: Job, take: Take) -> int:
        return self._stream(job, job.clip.frames - 1, None, take) + 1

    def _stream(self, job: Job, start: int, end: int | None, take: Take) -> int:
        async def run() -> int:
            last = -1
            frames = self._sampling.async_stream_video_frames(self._api(job), VIDEO_ID, start, end)
            async for index, image in frames:
                take(image)
                last = index
            return last

        return asyncio.run(run())

    def to_files(self, job: Job) -> None:
        asyncio.run(
            self._sampling.async_stream_video_frames_to_dir(
                self._api(job), VIDEO_ID, job.directory, job.indices[0], job.indices[-1], ext=job.ext
            )
        )
