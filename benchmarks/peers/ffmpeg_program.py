"""The ffmpeg program, read through a pipe."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import ClassVar

import numpy as np

from benchmarks.peers.base import NO_SHAPES, Peer, Take
from benchmarks.peers.job import Job

ENCODING = {
    "png": ["-compression_level", "1", "-pred", "up"],
    "jpg": ["-q:v", "1", "-qmin", "1", "-pix_fmt", "yuvj420p"],
}


class FfmpegProgram(Peer):
    """ffmpeg, whose raw pictures are read from a pipe into arrays."""

    name = "ffmpeg program"
    settings = (
        "`ffmpeg -ss … -i path -frames:v … -f rawvideo -pix_fmt rgb24 -`, a process for each scattered "
        "frame; `ffprobe -count_packets`; PNG at level 1, JPEG at `-q:v 1 -qmin 1`, its best"
    )
    lacks: ClassVar[dict[str, str]] = NO_SHAPES

    def __init__(self) -> None:
        for program in ("ffmpeg", "ffprobe"):
            if shutil.which(program) is None:
                raise ImportError(f"there is no {program} program")

    def version(self) -> str:
        said = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True, check=True)
        return " ".join(said.stdout.split()[:3])

    def _command(self, job: Job, index: int, count: int) -> list[str]:
        # Half a frame early: the first frame that is not before that is the one.
        seek = ["-ss", f"{job.seconds(index) - job.seconds(1) / 2:.6f}"] if index else []
        quiet = ["ffmpeg", "-nostdin", "-loglevel", "error"]
        return [*quiet, *seek, "-i", job.address, "-frames:v", str(count), "-an"]

    def _piped(self, job: Job, index: int, count: int, take: Take) -> None:
        command = [*self._command(job, index, count), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
        shape = job.clip.height, job.clip.width, 3
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            for _ in range(count):
                image = np.empty(shape, np.uint8)
                taken = process.stdout.readinto(memoryview(image.data).cast("B"))  # type: ignore[attr-defined]  # it is buffered
                if taken < image.nbytes:
                    raise LookupError("ffmpeg gives no more frames")
                take(image)

    def sequence(self, job: Job, take: Take) -> None:
        self._piped(job, job.indices[0], len(job.indices), take)

    def scattered(self, job: Job, take: Take) -> None:
        for index in job.indices:
            self._piped(job, index, 1, take)

    def last(self, job: Job, take: Take) -> int:
        command = ["ffprobe", "-loglevel", "error", "-select_streams", "v:0", "-count_packets"]
        command += ["-show_entries", "stream=nb_read_packets", "-of", "csv=p=0", job.address]
        count = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        self._piped(job, count - 1, 1, take)
        return count

    def to_files(self, job: Job) -> None:
        pattern = str(Path(job.directory, f"%06d.{job.ext}"))
        command = [*self._command(job, 0, len(job.indices)), *ENCODING[job.ext], pattern]
        subprocess.run(command, check=True)
