"""imageio."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from contest.base import JPEG_QUALITY, Contestant, Take, file_name, versions
from contest.job import Job

FRAME_THREADS = {"plugin": "pyav", "thread_type": "FRAME"}


class Imageio(Contestant):
    """imageio.v3 with its PyAV plugin."""

    name = "imageio"
    settings = (
        '`imiter(path, plugin="pyav", thread_type="FRAME")`; `read(index=…)` away from the start; '
        "`imwrite`, PNG with `compress_level=1`"
    )

    def __init__(self) -> None:
        import av  # noqa: F401 - the plugin imports it late
        import imageio.v3

        self._iio: Any = imageio.v3

    def version(self) -> str:
        return versions("imageio", "av", "pillow")

    def _read(self, job: Job, take: Take) -> None:
        with closing(self._iio.imopen(job.address, "r", plugin="pyav")) as file:
            for index in job.indices:
                take(file.read(index=index, thread_type="FRAME"))

    def sequence(self, job: Job, take: Take) -> None:
        if job.indices[0]:
            self._read(job, take)
            return
        with closing(self._iio.imiter(job.address, **FRAME_THREADS)) as frames:
            for _, image in zip(job.indices, frames, strict=False):
                take(image)

    def scattered(self, job: Job, take: Take) -> None:
        self._read(job, take)

    def last(self, job: Job, take: Take) -> int:
        with closing(self._iio.imopen(job.address, "r", plugin="pyav")) as file:
            count = int(file.properties(index=...).n_images)
            take(file.read(index=count - 1, thread_type="FRAME"))
        return count

    def to_files(self, job: Job) -> None:
        options = {"quality": JPEG_QUALITY} if job.ext == "jpg" else {"compress_level": 1}
        with closing(self._iio.imiter(job.address, **FRAME_THREADS)) as frames:
            for index, image in zip(job.indices, frames, strict=False):
                self._iio.imwrite(file_name(job, index), image, **options)
