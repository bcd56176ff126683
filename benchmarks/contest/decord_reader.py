"""decord."""

from __future__ import annotations

from importlib import import_module
from typing import Any, ClassVar

from contest.base import NO_WRITER, Contestant, Take, versions
from contest.job import Job


class Decord(Contestant):
    """decord.VideoReader, frame by frame where they follow each other and in a batch where they do not."""

    name = "decord"
    settings = "`VideoReader(path)`; `next()`, and `get_batch` for scattered frames"
    lacks: ClassVar[dict[str, str]] = {"png": NO_WRITER, "jpeg": NO_WRITER}

    def __init__(self) -> None:
        self._decord: Any = import_module("decord")

    def version(self) -> str:
        return f"{versions('decord')}, whose wheel brings FFmpeg 4.1"

    def sequence(self, job: Job, take: Take) -> None:
        reader = self._decord.VideoReader(job.address)
        if job.indices[0]:
            reader.seek_accurate(job.indices[0])
        for _ in job.indices:
            take(reader.next().asnumpy())

    def scattered(self, job: Job, take: Take) -> None:
        for image in self._decord.VideoReader(job.address).get_batch(job.indices).asnumpy():
            take(image)

    def last(self, job: Job, take: Take) -> int:
        reader = self._decord.VideoReader(job.address)
        take(reader[len(reader) - 1].asnumpy())
        return len(reader)
