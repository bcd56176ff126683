"""OpenCV."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any, cast

import numpy as np

from benchmarks.peers.base import JPEG_QUALITY, Images, Peer, Reader, RgbImage, Take, file_name
from benchmarks.peers.job import Job


class Capture(Reader):
    """cv2.VideoCapture, set to a frame by CAP_PROP_POS_FRAMES."""

    def __init__(self, cv2: Any, address: str, options: list[int] | None = None) -> None:
        self._cv2 = cv2
        self._capture = cv2.VideoCapture(address, cv2.CAP_FFMPEG, options or [])
        if not self._capture.isOpened():
            raise OSError("VideoCapture is not opened")

    def count(self) -> int:
        return int(self._capture.get(self._cv2.CAP_PROP_FRAME_COUNT))

    def seek(self, index: int) -> None:
        self._capture.set(self._cv2.CAP_PROP_POS_FRAMES, index)

    def skip(self, frames: int) -> None:
        for _ in range(frames):
            self._capture.grab()

    def next_bgr(self) -> RgbImage:
        """Read the next frame, whose channels are blue, green and red."""
        there, image = self._capture.read()
        if not there:
            raise LookupError("read() gives no frame")
        return cast("RgbImage", image)

    def next(self) -> RgbImage:
        return cast("RgbImage", self._cv2.cvtColor(self.next_bgr(), self._cv2.COLOR_BGR2RGB))

    def frame(self, index: int) -> RgbImage:
        self.seek(index)
        return self.next()

    def close(self) -> None:
        self._capture.release()


class Steps(Capture):
    """The same, which reads on where the next frame is asked for."""

    _at = 0

    def frame(self, index: int) -> RgbImage:
        if index != self._at:
            self.seek(index)
        self._at = index + 1
        return self.next()


class Opencv(Peer):
    """cv2.VideoCapture, set to a frame by CAP_PROP_POS_FRAMES, and cv2.imwrite."""

    name = "OpenCV"
    package = "opencv-python-headless"
    settings = (
        "`VideoCapture`, `CAP_PROP_POS_FRAMES`, `cvtColor` to RGB; steps and clips read on, and `grab` what "
        "is left out; `cv2.resize` by area; `imwrite` straight from BGR"
    )

    def __init__(self) -> None:
        import cv2

        self._cv2: Any = cv2

    def version(self) -> str:
        libavcodec = re.search(r"avcodec:\s+YES \(([\d.]+)\)", self._cv2.getBuildInformation())
        return f"cv2 {self._cv2.__version__}, libavcodec {libavcodec[1] if libavcodec else 'unknown'}"

    def read(self, path: str, pts: list[int | None]) -> Reader:
        return Capture(self._cv2, path)

    def sequence(self, job: Job, take: Take) -> None:
        with closing(Capture(self._cv2, job.address)) as capture:
            if job.indices[0]:
                capture.seek(job.indices[0])
            for _ in job.indices:
                take(capture.next())

    def scattered(self, job: Job, take: Take) -> None:
        with closing(Capture(self._cv2, job.address)) as capture:
            for index in job.indices:
                take(capture.frame(index))

    def last(self, job: Job, take: Take) -> int:
        with closing(Capture(self._cv2, job.address)) as capture:
            count = capture.count()
            take(capture.frame(count - 1))
        return count

    def resized(self, job: Job, take: Take) -> None:
        with closing(Capture(self._cv2, job.address)) as capture:
            for index in job.indices:
                take(self._cv2.resize(capture.frame(index), job.size, interpolation=self._cv2.INTER_AREA))

    def stepping(self, job: Job) -> Reader:
        return Steps(self._cv2, job.address)

    def clip(self, job: Job, indices: list[int]) -> Images:
        return np.stack([*self._read(job, indices)])

    def _read(self, job: Job, indices: list[int]) -> Iterator[RgbImage]:
        threads = [self._cv2.CAP_PROP_N_THREADS, 1]
        with closing(Capture(self._cv2, job.address, threads)) as capture:
            capture.seek(indices[0])
            for before, index in zip([indices[0] - 1, *indices], indices, strict=False):
                capture.skip(index - before - 1)
                yield capture.next()

    def to_files(self, job: Job) -> None:
        options = [self._cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if job.ext == "jpg" else []
        with closing(Capture(self._cv2, job.address)) as capture:
            for index in job.indices:
                self._cv2.imwrite(file_name(job, index), capture.next_bgr(), options)
