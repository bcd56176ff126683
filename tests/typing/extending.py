"""Sources, writers and callbacks of a program's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import assert_type

import asyncframes as af
from asyncframes.abc import FrameWriter, StreamSource
from asyncframes.sources import CachedSource, HttpSource


class Shard(StreamSource):
    @property
    def name(self) -> str:
        return "shard"

    @property
    def size(self) -> int | None:
        return 3

    async def open(self) -> None: ...

    async def read_range(self, start: int, stop: int) -> bytes:
        self.check_range(start, stop)
        return b"abc"[start:stop]

    async def aclose(self) -> None: ...


class Counter(FrameWriter):
    count = 0

    async def write(self, frame: af.Frame) -> str:
        self.count += 1
        return str(frame.index)

    async def aclose(self) -> None: ...


async def token() -> dict[str, str]:
    return {"Authorization": "Bearer"}


async def told(step: int) -> None: ...


async def arriving() -> AsyncIterator[bytes]:
    yield b""


async def their_use(video: af.Video) -> None:
    af.open_video(Shard())
    af.open_video(arriving())
    af.open_video(CachedSource(Shard()))
    af.open_video(HttpSource("https://example.com/film.mp4", headers=token))
    assert_type(await af.write_frames(video.frames(), Counter(), progress_cb=told), list[str])
    await af.stream_frames_to_dir("film.mp4", "frames", image_writer=lambda path, image: image.tofile(path))


async def refused(video: af.Video) -> None:
    await Shard().read_range("0", 3)  # type: ignore[arg-type]
    af.open_video(object())  # type: ignore[arg-type]
    await af.write_frames(video.frames(), Shard())  # type: ignore[arg-type]
    StreamSource()  # type: ignore[abstract]
    await af.stream_frames_to_dir("film.mp4", "frames", overwrite="always")  # type: ignore[arg-type]
