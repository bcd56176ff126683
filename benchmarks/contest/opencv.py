"""OpenCV."""

from __future__ import annotations

import re
from typing import Any

from contest.base import JPEG_QUALITY, Contestant, Take, file_name
from contest.job import Job


class Opencv(Contestant):
    """cv2.VideoCapture, set to a frame by CAP_PROP_POS_FRAMES, and cv2.imwrite."""

    name = "OpenCV"
    settings = "`VideoCapture`, `CAP_PROP_POS_FRAMES`, `cvtColor` to RGB; `imwrite` straight from BGR"

    def __init__(self) -> None:
        import cv2

        self._cv2: Any = cv2

    def version(self) -> str:
        libavcodec = re.search(r"avcodec:\s+YES \(([\d.]+)\)", self._cv2.getBuildInformation())
        return f"cv2 {self._cv2.__version__}, libavcodec {libavcodec[1] if libavcodec else 'unknown'}"

    def _open(self, job: Job) -> Any:
        return self._cv2.VideoCapture(job.address)

    def _read(self, capture: Any) -> Any:
        there, image = capture.read()
        if not there:
            raise LookupError("read() gives no frame")
        return image

    def _rgb(self, capture: Any) -> Any:
        return self._cv2.cvtColor(self._read(capture), self._cv2.COLOR_BGR2RGB)

    def sequence(self, job: Job, take: Take) -> None:
        capture = self._open(job)
        if job.indices[0]:
            capture.set(self._cv2.CAP_PROP_POS_FRAMES, job.indices[0])
        for _ in job.indices:
            take(self._rgb(capture))
        capture.release()

    def scattered(self, job: Job, take: Take) -> None:
        capture = self._open(job)
        for index in job.indices:
            capture.set(self._cv2.CAP_PROP_POS_FRAMES, index)
            take(self._rgb(capture))
        capture.release()

    def last(self, job: Job, take: Take) -> int:
        capture = self._open(job)
        count = int(capture.get(self._cv2.CAP_PROP_FRAME_COUNT))
        capture.set(self._cv2.CAP_PROP_POS_FRAMES, count - 1)
        take(self._rgb(capture))
        capture.release()
        return count

    def to_files(self, job: Job) -> None:
        capture = self._open(job)
        options = [self._cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if job.ext == "jpg" else []
        for index in job.indices:
            self._cv2.imwrite(file_name(job, index), self._read(capture), options)
        capture.release()
