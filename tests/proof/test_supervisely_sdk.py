"""The drop-in against the SDK itself, each in an environment with the PyAV that it asks for.

``nox -s supervisely`` makes both. With ``SUPERVISELY_REPORT`` set to a path, what was found is written there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest

from tests._clips import clip_bytes
from tests._corpus import CorpusFile, parameters
from tests._platform import TOKEN, Platform
from tests._servers import RunningServer
from tests.proof._compare import DROP_IN, ROUNDING, Bench, Verdict, Worker, is_prepared

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not is_prepared(), reason="nox -s supervisely prepares the SDK's environment"),
]

NO_PTS = "its packets have no pts, so the SDK counts no frames: an empty list, no error"
LATE_SEEK = "the seek lands after the frame, and what lies before that is left out, without an error"
HIDDEN = "packets that show nothing are counted as frames: later numbers are wrong"
NEGATIVE = "frames whose pts is below zero are not counted: numbers are shifted or frames missing"
OTHER_PTS = "the pts of packets are not those of the frames: frames are left out or numbered wrongly"
NOT_A_START = "what the container calls a keyframe is none: the pictures are broken, without an error"
ABORTS = "a packet that does not decode ends the run, also where only a seek made it so"

WRONG_IN_THE_SDK: dict[str, str] = {}
"""Files with which the SDK does not give the frames asked for, and why."""

FRAMES = 48


@pytest.fixture(scope="module")
def verdicts() -> Iterator[dict[str, Verdict]]:
    found: dict[str, Verdict] = {}
    yield found
    if path := os.environ.get("SUPERVISELY_REPORT"):
        Path(path).write_text(_report(found))


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with Bench() as prepared:
        yield prepared


@pytest.fixture(scope="module")
def clip(bench: Bench) -> int:
    """Number of a clip on the platform."""
    bench.platform.add_video(900, clip_bytes(frames=FRAMES))
    return 900


@pytest.mark.timeout(300)
@pytest.mark.parametrize("file", parameters())
def test_the_frames_are_the_same_where_the_sdk_is_right(
    bench: Bench, verdicts: dict[str, Verdict], file: CorpusFile
) -> None:
    """Ours are those of a plain decode; so are the SDK's except where listed, and then both agree."""
    verdict = verdicts[file.path.name] = bench.compare(file)
    assert not verdict.ours
    assert bool(verdict.sdk) == (file.path.name in WRONG_IN_THE_SDK), verdict.sdk
    assert verdict.difference <= ROUNDING


def test_the_signatures_are_the_same(bench: Bench) -> None:
    """Names, order, kinds and defaults of the parameters, and what sort of function each is."""
    sdk, ours = bench.sdk.do("facts"), bench.ours.do("facts")
    assert ours["signatures"] == sdk["signatures"]
    assert ours["kinds"] == sdk["kinds"]


@pytest.mark.parametrize("own_writer", [False, True])
def test_paths_progress_and_writers_are_the_same(
    bench: Bench, clip: int, tmp_path: Path, *, own_writer: bool
) -> None:
    """The same directory gives the same paths from both, with the same calls and the same images."""
    said = {}
    for name, worker in (("sdk", bench.sdk), ("ours", bench.ours)):
        asked: dict[str, Any] = {"video_id": clip, "start": 7, "end": 12, "own_writer": own_writer}
        said[name] = worker.do("to_dir", out=str(tmp_path / "frames"), **asked)
        (tmp_path / "frames").rename(tmp_path / name)
    assert said["sdk"] == said["ours"]
    assert len(said["ours"]["paths"]) == len(said["ours"]["steps"]) == 6
    files = [sorted(path.name for path in (tmp_path / name).iterdir()) for name in ("sdk", "ours")]
    assert files[0] == files[1]
    read = np.load if own_writer else iio.imread
    for name in files[0]:
        assert np.array_equal(read(tmp_path / "sdk" / name), read(tmp_path / "ours" / name))


def test_the_blocking_functions_are_the_same(bench: Bench, clip: int, tmp_path: Path) -> None:
    """Both work outside and inside a running loop, and return the same."""
    answers = [
        worker.do("to_dir_blocking", video_id=clip, out=str(tmp_path), start=0, end=3)
        for worker in (bench.sdk, bench.ours)
    ]
    assert answers[0] == answers[1]
    assert answers[0]["paths"] == answers[0]["inside"]


@pytest.mark.parametrize(
    ("start", "end"), [(None, None), (0, 0), (44, 99), (-5, 3), (None, 2), (FRAMES - 1, None)]
)
def test_ranges_mean_the_same(bench: Bench, clip: int, start: int | None, end: int | None) -> None:
    """Both ends included, a negative start clamped, an end past the last frame clamped."""
    answers = [
        worker.do("stream", video_id=clip, start=start, end=end)["indices"]
        for worker in (bench.sdk, bench.ours)
    ]
    assert answers[0] == answers[1]


def test_ranges_that_mean_nothing(bench: Bench, clip: int) -> None:
    """A start past the end is an IndexError in both; an end before the start is one frame in the SDK."""
    past = [worker.do("stream", video_id=clip, start=FRAMES, end=None) for worker in (bench.sdk, bench.ours)]
    assert [answer["error"] for answer in past] == ["IndexError", "FrameIndexError"]
    empty = [worker.do("stream", video_id=clip, start=5, end=2) for worker in (bench.sdk, bench.ours)]
    assert empty[0]["indices"] == [5]
    assert empty[1]["error"] == "ValueError"


def test_a_slow_consumer(bench: Bench, clip: int) -> None:
    """The SDK repeats a frame for ever, where ours gives each once."""
    asked: dict[str, Any] = {"start": 0, "end": 9, "pause": 0.5, "queue_maxsize": 2, "limit": 14}
    assert bench.sdk.do("stream", video_id=clip, **asked)["indices"].count(3) > 5
    assert bench.ours.do("stream", video_id=clip, **asked)["indices"] == list(range(10))


def test_errors_of_the_server(bench: Bench) -> None:
    """Through the SDK's own object ours are named; the SDK's are whatever came."""
    bench.platform.add_unprocessed(901)
    unknown = [worker.do("stream", video_id=999, start=0, end=0) for worker in (bench.sdk, bench.ours)]
    assert [answer["error"] for answer in unknown] == ["AttributeError", "SourceNotFoundError"]
    new = [worker.do("stream", video_id=901, start=0, end=0) for worker in (bench.sdk, bench.ours)]
    assert [answer["error"] for answer in new] == ["RuntimeError", "SourceNotReadyError"]


def test_errors_of_the_sdks_object() -> None:
    """A refused token and a server that is down keep their meaning on the way through it."""
    with Platform() as platform:
        with Worker(DROP_IN, platform.address, "wrong" + TOKEN) as worker:
            refused = worker.do("stream", video_id=1, start=0, end=0)
        down = platform.address
    with Worker(DROP_IN, down) as worker:
        unreachable = worker.do("stream", video_id=1, start=0, end=0)
    assert refused["error"] == "SourceAccessError"
    assert unreachable["error"] == "SourceUnavailableError"
    assert TOKEN not in refused["text"] + unreachable["text"]


def test_where_the_token_goes(bench: Bench) -> None:
    """A storage that forwards to another host gets the SDK to send the token there; ours does not."""
    with RunningServer() as other:
        other.serve("/clip.mp4", clip_bytes(frames=FRAMES))
        bench.platform.forward(902, other.url("/clip.mp4"))
        told = []
        for worker in (bench.sdk, bench.ours):
            before = len(other.requests)
            assert worker.do("stream", video_id=902, start=0, end=3)["indices"] == [0, 1, 2, 3]
            told.append(any(TOKEN in str(request.headers) for request in other.requests[before:]))
    assert told == [True, False]


def _report(verdicts: dict[str, Verdict]) -> str:
    right = {name: v for name, v in verdicts.items() if not v.sdk}
    worst = max((v.difference for v in right.values()), default=0)
    sideways = sorted(name for name, v in verdicts.items() if v.turned)
    lines = [
        f"{len(right)} of {len(verdicts)} files: both give the frames of a plain decode, at the same paths; ",
        f"their pixels differ by at most {worst} of 255 levels. On all {len(verdicts)} files the frames of",
        "`asyncframes.supervisely` are those of a plain decode.",
        "",
        f"{len(sideways)} files ask for their pictures to be turned or mirrored, which the SDK does not do "
        f"(compared after turning): {', '.join(f'`{name}`' for name in sideways)}.",
        "",
        "The other files, and what the SDK does with them (`first-last` is the range asked for):",
        "",
        "| file | frames | why | what came |",
        "|---|---|---|---|",
    ]
    for name, verdict in sorted(verdicts.items()):
        if verdict.sdk:
            why = WRONG_IN_THE_SDK.get(name, "")
            lines.append(f"| `{name}` | {verdict.frames} | {why} | {'; '.join(verdict.sdk)} |")
    return "\n".join(lines) + "\n"
