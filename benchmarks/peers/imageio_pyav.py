"""imageio."""

from __future__ import annotations

from contextlib import closing
from typing import Any, ClassVar, cast

from benchmarks.peers.base import JPEG_QUALITY, NO_SHAPES, Peer, Reader, RgbImage, Take, file_name, versions
from benchmarks.peers.job import Job

FRAME_THREADS = {"thread_type": "FRAME"}


class Opened(Reader):
    """imageio.v3 with its PyAV plugin, `read(index=…)`; further options go to it."""

    def __init__(self, file: Any, **options: str) -> None:
        self._file = file
        self._options = options

    def count(self) -> int:
        return int(self._file.properties(index=...).n_images or 0)

    def frame(self, index: int) -> RgbImage:
        return cast("RgbImage", self._file.read(index=index, **self._options))

    def close(self) -> None:
        self._file.close()


class Imageio(Peer):
    """imageio.v3 with its PyAV plugin."""

    name = package = "imageio"
    settings = (
        '`imiter(path, plugin="pyav", thread_type="FRAME")`; `read(index=…)` away from the start; '
        "`imwrite`, PNG with `compress_level=1`"
    )
    lacks: ClassVar[dict[str, str]] = NO_SHAPES

    def __init__(self) -> None:
        import av  # noqa: F401 - the plugin imports it late
        import imageio.v3

        self._iio: Any = imageio.v3

    def version(self) -> str:
        return versions("imageio", "av", "pillow")

    def _open(self, address: str, **options: str) -> Opened:
        return Opened(self._iio.imopen(address, "r", plugin="pyav"), **options)

    def read(self, path: str, pts: list[int | None]) -> Reader:
        return self._open(path)

    def _read(self, job: Job, take: Take) -> None:
        with closing(self._open(job.address, **FRAME_THREADS)) as file:
            for index in job.indices:
                take(file.frame(index))

    def sequence(self, job: Job, take: Take) -> None:
        if job.indices[0]:
            self._read(job, take)
            return
        with closing(self._iio.imiter(job.address, plugin="pyav", **FRAME_THREADS)) as frames:
            for _, image in zip(job.indices, frames, strict=False):
                take(image)

    def scattered(self, job: Job, take: Take) -> None:
        self._read(job, take)

    def last(self, job: Job, take: Take) -> int:
        with closing(self._open(job.address, **FRAME_THREADS)) as file:
            count = file.count()
            take(file.frame(count - 1))
        return count

    def to_files(self, job: Job) -> None:
        options = {"quality": JPEG_QUALITY} if job.ext == "jpg" else {"compress_level": 1}
        with closing(self._iio.imiter(job.address, plugin="pyav", **FRAME_THREADS)) as frames:
            for index, image in zip(job.indices, frames, strict=False):
                self._iio.imwrite(file_name(job, index), image, **options)
