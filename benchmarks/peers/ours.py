"""asyncframes."""

from __future__ import annotations

import asyncio

from benchmarks.peers.base import Peer, Reader, RgbImage, Take, versions
from benchmarks.peers.job import Job

# Below this simplejpeg takes a fast DCT, and its pixels are worse than those of others at 95.
JPEG_QUALITY = 96


class ByIndex(Reader):
    """`sync.Video`, one index at a time; damaged frames are kept, as others keep them."""

    def __init__(self, path: str) -> None:
        from asyncframes import sync

        self._video = sync.open_video(path, on_corrupt="keep")

    def count(self) -> int:
        return self._video.count()

    def frame(self, index: int) -> RgbImage:
        return self._video.frame(index).image

    def close(self) -> None:
        self._video.close()


class Ours(Peer):
    """`stream_frames` and `stream_frames_to_dir` on an event loop of their own."""

    name = "asyncframes"
    package = "asyncframes-video"
    settings = (
        "`stream_frames(path, …)` and `stream_frames_to_dir` with their defaults, each starting and ending "
        "an event loop; JPEG at quality 96, because below that its encoder uses a fast DCT and scores lower "
        "than the others at 95"
    )

    def __init__(self) -> None:
        import av

        import asyncframes

        self._af = asyncframes
        self._av = av

    def version(self) -> str:
        return f"{versions('asyncframes-video', 'av')}, FFmpeg {self._av.ffmpeg_version_info}"

    def read(self, path: str, pts: list[int | None]) -> Reader:
        return ByIndex(path)

    def sequence(self, job: Job, take: Take) -> None:
        async def run() -> None:
            async for _, image in self._af.stream_frames(job.address, job.indices[0], job.indices[-1]):
                take(image)

        asyncio.run(run())

    def scattered(self, job: Job, take: Take) -> None:
        async def run() -> None:
            async for _, image in self._af.stream_frames(job.address, indices=job.indices):
                take(image)

        asyncio.run(run())

    def last(self, job: Job, take: Take) -> int:
        async def run() -> int:
            async with self._af.open_video(job.address) as video:
                count = await video.count()
                take((await video.frame(count - 1)).image)
                return int(count)

        return asyncio.run(run())

    def to_files(self, job: Job) -> None:
        asyncio.run(
            self._af.stream_frames_to_dir(
                job.address,
                job.directory,
                job.indices[0],
                job.indices[-1],
                ext=job.ext,
                quality=JPEG_QUALITY if job.ext == "jpg" else None,
            )
        )
