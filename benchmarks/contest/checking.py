"""Check that contestants give the same frames, before they are timed."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import imageio.v3 as iio
import numpy as np
from numpy.typing import NDArray

from benchmarks.contest.running import contest
from benchmarks.contest.workloads import Workload
from benchmarks.peers.job import Clip, Job
from tests.support.exact.same_frame import NEIGHBOURS, Grid, judge, reduced

COMPARED = 24
COMPARED_FILES = 8


@dataclass(frozen=True, slots=True)
class Check:
    """The result of a check.

    Attributes
    ----------
    differs
        What is wrong with the frames; empty if all are right.
    psnr
        The PSNR of JPEG files against PNG files of the same contestant, in dB, luma only.
    """

    differs: str = ""
    psnr: float | None = None


def places(count: int) -> list[int]:
    """Choose which of `count` frames are compared."""
    return sorted({round(place) for place in np.linspace(0, count - 1, min(count, COMPARED))})


class Truth:
    """Frames of a video by index, as asyncframes gives them one by one."""

    def __init__(self, clip: Clip, workload: Workload) -> None:
        asked = workload.indices(clip.frames)
        if workload.method == "to_files":
            asked = asked[:COMPARED_FILES]
        self.places = places(len(asked))
        self.indices = [asked[place] for place in self.places]
        wanted = {index + offset for index in self.indices for offset in (0, *NEIGHBOURS)}
        near = sorted(index for index in wanted if 0 <= index < clip.frames)
        job = Job(clip.path, clip, indices=near, kept=list(range(len(near))))
        self._frames = {near[place]: grid for place, grid in _kept("ours", "scattered", job)[1].items()}

    def judge(self, given: dict[int, Grid]) -> str:
        """Return what is wrong with frames; empty if all are right."""
        missing = [index for index in self.indices if index not in given]
        wrong = [*judge(given, self._frames).wrong, *missing]
        return f"{len(wrong)} of {len(self.indices)} compared are other frames" if wrong else ""


def check(name: str, workload: Workload, job: Job, truth: Truth) -> Check:
    """Run a workload once, not timed.

    Raises
    ------
    FailedError
        The contestant cannot do it.
    """
    if workload.method == "to_files":
        return _check_files(name, job, truth)
    found, kept = _kept(name, workload.method, replace(job, kept=truth.places))
    given = {
        index: kept[place] for index, place in zip(truth.indices, truth.places, strict=True) if place in kept
    }
    wrong = [said] if (said := truth.judge(given)) else []
    if found["frames"] != len(job.indices):
        wrong.append(f"{found['frames']} frames")
    if workload.method == "last" and found["count"] != job.clip.frames:
        wrong.append(f"counts {found['count']} frames")
    return Check("; ".join(wrong))


def _kept(name: str, method: str, job: Job) -> tuple[dict[str, float], dict[int, Grid]]:
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "kept.npz"))
        found = contest(name, method, job, path)
        with np.load(path) as kept:
            return found, {int(place): kept[place] for place in kept.files}


def _check_files(name: str, job: Job, truth: Truth) -> Check:
    """Compare the first files with frames, and JPEG with PNG files of the same contestant."""
    few = replace(job, indices=job.indices[:COMPARED_FILES])
    images = _written(name, few)
    differs = truth.judge({index: reduced(image) for index, image in zip(few.indices, images, strict=False)})
    if job.ext != "jpg":
        return Check(differs)
    lossless = _written(name, replace(few, ext="png"))
    return Check(differs, psnr=min(psnr(*pair) for pair in zip(images, lossless, strict=True)))


def _written(name: str, job: Job) -> list[NDArray[np.uint8]]:
    with tempfile.TemporaryDirectory() as folder:
        contest(name, "to_files", replace(job, directory=folder))
        return [iio.imread(path) for path in sorted(Path(folder).glob(f"*.{job.ext}"))]


def psnr(image: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Compare the luma of two images, in dB."""
    error = np.mean(((image.astype(np.float32) - other) @ np.array([0.299, 0.587, 0.114], np.float32)) ** 2)
    return float(10 * np.log10(255**2 / error)) if error else float("inf")
