"""asyncframes."""

from __future__ import annotations

import asyncio
import time

import numpy as np

from benchmarks.peers.base import (
    Figures,
    Images,
    Peer,
    Reader,
    RgbImage,
    Take,
    step_figures,
    take_all,
    versions,
)
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
        "an event loop; steps by `await video.frame(i)`; clips by `open_video(path, threads=1)` and `await "
        "video.batch(…)`; in the `DataLoader`, `asyncframes.torch.ClipDataset` with one open video in each "
        "worker, so that each clip opens the file, and with the frame tables of the first epoch in the "
        "second; JPEG at quality 96, because below that its encoder uses a fast DCT and scores lower than "
        "the others at 95"
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

    def resized(self, job: Job, take: Take) -> None:
        async def run() -> None:
            frames = self._af.stream_frames(
                job.address, indices=job.indices, resize=(job.size[0], job.size[1])
            )
            async for _, image in frames:
                take(image)

        asyncio.run(run())

    def opened(self, job: Job, take: Take) -> Figures:
        return self._stepped(job, take, begin=None)

    def steps(self, job: Job, take: Take) -> Figures:
        return self._stepped(job, take, begin=0)

    def _stepped(self, job: Job, take: Take, *, begin: int | None) -> Figures:
        async def run() -> list[float]:
            seconds = []
            async with self._af.open_video(job.address) as video:
                if begin is not None:
                    await video.frame(begin)
                for index in job.indices:
                    began = time.perf_counter()
                    frame = await video.frame(index)
                    seconds.append(time.perf_counter() - began)
                    take(frame.image)
            return seconds

        return step_figures(asyncio.run(run()))

    def clips(self, job: Job, take: Take) -> Figures:
        clips = job.clips()
        found: dict[int, Images] = {}

        async def read(numbers: list[int]) -> None:
            for number in numbers:
                first, second, *_, last = clips[number]
                async with self._af.open_video(job.address, threads=1) as video:
                    found[number] = (await video.batch(first, last, second - first)).images

        async def run() -> float:
            await read([0])
            began = time.perf_counter()
            async with asyncio.TaskGroup() as tasks:
                for reader in range(job.at_once):
                    tasks.create_task(read([*range(reader, len(clips), job.at_once)]))
            return time.perf_counter() - began

        seconds = asyncio.run(run())
        for number in range(len(clips)):
            take_all(found[number], take)
        return {"seconds": seconds / len(clips)}

    def loader(self, job: Job, take: Take) -> Figures:
        from asyncframes.torch import ClipDataset
        from benchmarks.peers.loading import loaded

        clips = job.clips()
        dataset = ClipDataset(
            [job.address] * len(clips),
            num_frames=job.clip_frames,
            stride=clips[0][1] - clips[0][0],
            clips_per_video=len(clips),
            sampling="regular",
            layout="NHWC",
            max_open_videos=1,
        )
        # Each clip is of another video, so each opens the file. The starts of regular clips ascend.
        places = np.argsort(np.argsort([clip[0] for clip in clips], kind="stable"), kind="stable")
        numbers = [video * len(clips) + int(place) for video, place in enumerate(places)]
        return loaded(dataset, numbers, job, take)

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
