"""The SDK's functions and their drop-in on one file, judged by a plain decode from its beginning."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import imageio.v3 as iio
import numpy as np
from numpy.typing import NDArray

from tests.support.exact.corpus import CorpusFile
from tests.support.servers.supervisely_platform import TOKEN, Platform

SDK, DROP_IN = "supervisely.video.sampling", "asyncframes.supervisely"
SDK_PYTHON = os.environ.get("SUPERVISELY_SDK_PYTHON", "")
WORKER = Path(__file__).with_name("sdk_worker.py")

WHOLE_UP_TO_PIXELS = 60_000_000
ROUNDING = 2
"""Levels by which two versions of FFmpeg may differ in a pixel."""

CONVERSION = 2.0
"""Levels by which two conversions of a picture to RGB may differ on average."""

ALIKE = 0.02
"""Levels by which pictures that follow each other may differ on average and still show the same."""

Image = NDArray[np.uint8]


def is_prepared() -> bool:
    """Whether both environments are there: the SDK's own, and this one with the SDK's ``Api`` object."""
    return bool(SDK_PYTHON) and find_spec("supervisely") is not None


class Worker:
    """A process that runs one of the two implementations; see sdk_worker.py."""

    def __init__(self, module: str, address: str, token: str = TOKEN) -> None:
        python = SDK_PYTHON if module == SDK else sys.executable
        self._process = subprocess.Popen(
            [python, str(WORKER), module, address, token],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def do(self, what: str, **job: Any) -> dict[str, Any]:
        """Have one job done."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"do": what, **job}) + "\n")
        process.stdin.flush()
        answer: dict[str, Any] = json.loads(process.stdout.readline())
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()


@dataclass
class Answer:
    """What one of them wrote for one range."""

    error: str | None
    paths: list[str]
    images: dict[int, Image]

    @classmethod
    def of(cls, said: dict[str, Any]) -> Answer:
        error = f"{said['error']}: {said['text'][:60].rstrip(': ')}" if "error" in said else None
        paths: list[str] = said.get("paths", [])
        return cls(error, paths, _images(paths))


@dataclass
class Verdict:
    """What came of one file.

    Attributes
    ----------
    sdk, ours
        What is wrong with each, nothing where all is right.
    difference
        Largest difference of a pixel from the plain decode, where ours are right.
    average
        Largest average difference of a picture.
    turned
        Whether the file asks for its pictures to be turned or mirrored, which the SDK ignores.
    """

    sdk: list[str] = field(default_factory=list)
    ours: list[str] = field(default_factory=list)
    difference: int = 0
    average: float = 0.0
    turned: bool = False
    frames: int = 0

    def take(
        self, what: str, sdk: Answer, ours: Answer, expected: list[int], truth: dict[int, Image]
    ) -> None:
        """Judge what both wrote for one range."""
        judged = [
            _judge(what, sdk, expected, truth) + _surplus(what, sdk, self.frames),
            _judge(what, ours, expected, truth, ours=True, turned=self.turned)
            + _surplus(what, ours, self.frames),
        ]
        self.sdk += judged[0]
        self.ours += judged[1]
        self._measure(ours, expected, truth)
        if any(judged):
            return
        assert _names(set(sdk.paths)) == _names(set(ours.paths))
        assert ours.paths == sorted(ours.paths)
        assert all(Path(path).is_absolute() for path in ours.paths)

    def _measure(self, ours: Answer, expected: list[int], truth: dict[int, Image]) -> None:
        for index in expected:
            if index in ours.images:
                upright = _nearest_turn(ours.images[index], truth[index], turned=self.turned)
                self.difference = max(self.difference, _distance(ours.images[index], upright))
                self.average = max(self.average, _average(ours.images[index], upright))


class Bench:
    """The platform, both workers, and a place for their files."""

    def __init__(self) -> None:
        self.platform = Platform()
        self._numbers = count(1)

    def __enter__(self) -> Self:
        self.platform.__enter__()
        self.sdk = Worker(SDK, self.platform.address)
        self.ours = Worker(DROP_IN, self.platform.address)
        return self

    def __exit__(self, *exc_info: Any) -> None:
        for worker in (self.sdk, self.ours):
            worker.__exit__(None, None, None)
        self.platform.__exit__(*exc_info)

    def add(self, file: CorpusFile) -> int:
        """Give a file to the platform."""
        number = next(self._numbers)
        self.platform.add_video(number, file.path.read_bytes(), name=file.path.name)
        return number

    def compare(self, file: CorpusFile) -> Verdict:
        """Ask both for the same ranges and judge what they write."""
        number, asked = self.add(file), _ranges(file)
        indices = {index for start, end in asked for index in _clamped(start, end, file.frame_count)}
        turned = bool(file.truth["rotate_clockwise"] or file.truth["mirrored"])
        verdict = Verdict(turned=turned, frames=file.frame_count)
        with tempfile.TemporaryDirectory() as scratch:
            truth = self._truth(file, sorted(indices), Path(scratch, "truth.npz"))
            for start, end in asked:
                expected = [i for i in _clamped(start, end, file.frame_count) if i in truth]
                asking = {"video_id": number, "start": start, "end": end}
                sdk = self.sdk.do("to_dir", out=str(Path(scratch, "sdk")), **asking)
                ours = self.ours.do("to_dir", out=str(Path(scratch, "ours")), **asking)
                what = f"{start}-{'' if end is None else end}"
                verdict.take(what, Answer.of(sdk), Answer.of(ours), expected, truth)
        return verdict

    def _truth(self, file: CorpusFile, indices: list[int], path: Path) -> dict[int, Image]:
        """Decode the frames that can be judged: how damage is concealed depends on version and threads."""
        facts = self.sdk.do("reference", path=str(file.path), indices=indices, out=str(path))
        stop = facts["count"] if facts["damaged_at"] is None else facts["damaged_at"]
        with np.load(path) as kept:
            return {
                int(index): kept[index]
                for index in kept.files
                if int(index) < stop and int(index) not in facts["corrupt"]
            }


def _ranges(file: CorpusFile) -> list[tuple[int, int | None]]:
    """The first ten, ten from the middle, the last ten, past the end, and all where they are not much."""
    frames = file.frame_count
    middle = frames // 2
    ranges: list[tuple[int, int | None]] = [
        (0, 9),
        (middle, middle + 9),
        (max(0, frames - 10), None),
        (frames - 1, frames + 50),
    ]
    pixels = frames * file.truth["width"] * file.truth["height"]
    return [*ranges, (0, None)] if pixels <= WHOLE_UP_TO_PIXELS else ranges


def _clamped(start: int, end: int | None, frames: int) -> range:
    return range(start, frames if end is None else min(end + 1, frames))


def _names(paths: set[str]) -> list[str]:
    return sorted(Path(path).name for path in paths)


def _images(paths: list[str]) -> dict[int, Image]:
    found = {}
    for path in paths:
        number = re.fullmatch(r"frame_(\d{6})\.png", Path(path).name)
        assert number is not None
        found[int(number[1])] = iio.imread(path)
    return found


def _judge(
    what: str,
    answer: Answer,
    expected: list[int],
    truth: dict[int, Image],
    *,
    ours: bool = False,
    turned: bool = False,
) -> list[str]:
    """Say what is wrong with one answer; frames that cannot be judged are left out of account."""
    if answer.error is not None:
        return [f"{what}: {answer.error}"]
    images = answer.images
    wrong = []
    if missing := sorted(set(expected) - set(images)):
        wrong.append(f"{what}: {_listed(missing)} missing")
    others = [
        index
        for index in expected
        if index in images
        and not _is_same(images[index], truth[index], turned=turned)
        and not (ours and _is_nearest(index, images[index], truth, turned=turned))
    ]
    if others:
        wrong.append(f"{what}: {_listed(others)} {_shown(others, images, truth, turned=turned)}")
    return wrong


def _surplus(what: str, answer: Answer, frames: int) -> list[str]:
    more = sorted(index for index in answer.images if index >= frames)
    return [f"{what}: {_listed(more)} though there are no such frames"] if more else []


def _shown(others: list[int], images: dict[int, Image], truth: dict[int, Image], *, turned: bool) -> str:
    farthest = 0
    for index in others:
        same = [i for i, picture in truth.items() if _is_same(images[index], picture, turned=turned)]
        if not same:
            return f"with other pixels, by up to {_distance(images[index], truth[index])} levels"
        farthest = max(farthest, min(abs(i - index) for i in same))
    return f"show{'s' if len(others) == 1 else ''} another frame, up to {farthest} away"


def _is_same(image: Image, picture: Image, *, turned: bool) -> bool:
    return _distance(image, _nearest_turn(image, picture, turned=turned)) <= ROUNDING


def _is_nearest(index: int, image: Image, truth: dict[int, Image], *, turned: bool) -> bool:
    """Whether an image is a frame by another conversion to RGB: close to it, and to none beside it closer."""
    distances = {
        other: _average(image, _nearest_turn(image, truth[other], turned=turned))
        for other in range(index - 2, index + 3)
        if other in truth
    }
    return distances[index] <= min(CONVERSION, min(distances.values()) + ALIKE)


def _nearest_turn(image: Image, picture: Image, *, turned: bool) -> Image:
    if not turned:
        return picture
    turns = [np.rot90(flipped, turn) for flipped in (picture, picture[:, ::-1]) for turn in range(4)]
    return min(turns, key=lambda turn: _average(image[::8, ::8], turn[::8, ::8]))


def _average(one: Image, other: Image) -> float:
    if one.shape != other.shape:
        return 256.0
    return float(np.abs(one.astype(np.int16) - other).mean()) if one.size else 0.0


def _distance(one: Image, other: Image) -> int:
    if one.shape != other.shape:
        return 256
    return int(np.abs(one.astype(np.int16) - other).max(initial=0))


def _listed(indices: list[int]) -> str:
    """Write ``frames 3-5, 9``, the first few of many."""
    runs: list[list[int]] = []
    for index in indices:
        if runs and runs[-1][-1] == index - 1:
            runs[-1][1:] = [index]
        else:
            runs.append([index])
    written = [f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs]
    return ("frames " if len(indices) > 1 else "frame ") + ", ".join(
        written[:4] + ["..."][: len(written) > 4]
    )
