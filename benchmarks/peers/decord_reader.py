"""decord."""

from __future__ import annotations

from importlib import import_module
from typing import Any, ClassVar, cast

from benchmarks.peers.base import NO_WRITER, Images, Peer, Reader, RgbImage, Take, versions
from benchmarks.peers.job import Job


class Indexed(Reader):
    """decord.VideoReader, indexed."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def count(self) -> int:
        return len(self._reader)

    def frame(self, index: int) -> RgbImage:
        return cast("RgbImage", self._reader[index].asnumpy())


class Decord(Peer):
    """decord.VideoReader, frame by frame where they follow each other and in a batch where they do not."""

    name = package = "decord"
    settings = (
        "`VideoReader(path)`; `next()`, and `get_batch` for scattered frames, other sizes (`width=`, "
        "`height=`) and clips (`num_threads=1`); a step by index"
    )
    lacks: ClassVar[dict[str, str]] = {"png": NO_WRITER, "jpeg": NO_WRITER}

    def __init__(self) -> None:
        self._decord: Any = import_module("decord")

    def version(self) -> str:
        return f"{versions('decord')}, whose wheel brings FFmpeg 4.1"

    def read(self, path: str, pts: list[int | None]) -> Indexed:
        return Indexed(self._decord.VideoReader(path))

    def sequence(self, job: Job, take: Take) -> None:
        reader = self._decord.VideoReader(job.address)
        if job.indices[0]:
            reader.seek_accurate(job.indices[0])
        for _ in job.indices:
            take(reader.next().asnumpy())

    def scattered(self, job: Job, take: Take) -> None:
        for image in self._decord.VideoReader(job.address).get_batch(job.indices).asnumpy():
            take(image)

    def resized(self, job: Job, take: Take) -> None:
        width, height = job.size
        reader = self._decord.VideoReader(job.address, width=width, height=height)
        for image in reader.get_batch(job.indices).asnumpy():
            take(image)

    def clip(self, job: Job, indices: list[int]) -> Images:
        reader = self._decord.VideoReader(job.address, num_threads=1)
        return cast("Images", reader.get_batch(indices).asnumpy())

    def last(self, job: Job, take: Take) -> int:
        reader = self.read(job.address, [])
        count = reader.count()
        take(reader.frame(count - 1))
        return count
