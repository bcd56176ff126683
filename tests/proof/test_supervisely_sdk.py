"""The drop-in against the SDK itself, each in an environment with the PyAV that it asks for.

``nox -s supervisely`` makes both. With ``SUPERVISELY_REPORT`` set to a path, what was found is written there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest

from tests.proof._compare import DROP_IN, ROUNDING, Bench, Verdict, Worker, is_prepared
from tests.support.exact.corpus import CorpusFile, parameters
from tests.support.servers.supervisely_platform import TOKEN, Platform
from tests.support.servers.web import RunningServer
from tests.support.streams.clips import clip_bytes

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not is_prepared(), reason="nox -s supervisely prepares the SDK's environment"),
]

NO_PTS = "its packets have no pts, so no frames are counted: an empty list, no error"
BELOW_ZERO = "frames whose pts is below zero are not counted: none, or others under their numbers, no error"
SOME_PTS = "packets without a pts are not counted, and the seek lands after the others: nothing, no error"
ONE_PTS = "all its packets have the same pts: one frame, no error"
OTHER_PTS = (
    "the pts of its packets are not those of its frames: some missing or under other numbers, no error"
)
HIDDEN = "packets that show nothing are counted as frames: other frames under the numbers after, no error"
LATE_SEEK = "the seek lands after the frame, and the frames before that are missing, no error"
NOT_A_START = "a wrong keyframe flag in the container: broken pictures, no error"
ABORTS = "a packet does not decode, in `bear-vp8a.webm` only after a seek; nothing more comes"

WRONG_IN_THE_SDK = {
    "BA_MW_D_IDR_LOST.264": NO_PTS,
    "CVFC1_Sony_C.jsv": NO_PTS,
    "MOV00006.3gp": NOT_A_START,
    "ad.ts": BELOW_ZERO,
    "avatar.flv": LATE_SEEK,
    "bbb_2500ms.ts": LATE_SEEK,
    "bear-320x240-altref.webm": HIDDEN,
    "bear-vp8a.webm": ABORTS,
    "bear.h264": NO_PTS,
    "cars_128x96.h265": NO_PTS,
    "cat_avc_clip.mp4": OTHER_PTS,
    "corrupted.mp4": ABORTS,
    "foreman-hevc-384.mp4": LATE_SEEK,
    "iibbibb_editlist_videoonly.mp4": LATE_SEEK,
    "missing-dts.ts": SOME_PTS,
    "missing-sei-and-pes.ts": SOME_PTS,
    "roadtrip-vp92-10bit.webm": HIDDEN,
    "sample-with-large-length.avi": OTHER_PTS,
    "sample_edit_list_no_sync_frame_before_edit.mp4": BELOW_ZERO,
    "sample_h262_mpeg_audio.ps": LATE_SEEK,
    "sample_h264_no_access_unit_delimiters.ts": LATE_SEEK,
    "sample_h265_rps_pred.ts": LATE_SEEK,
    "sample_with_fake_auxiliary_tracks.mp4": ONE_PTS,
    "te[s]t_ video ' _ .flv": LATE_SEEK,
    "test-139.ts": LATE_SEEK,
    "test-middle-pat-pmt.ts": LATE_SEEK,
    "test_res_change.h264": NO_PTS,
    "vertical-sample.ts": LATE_SEEK,
    "weird_aspect.small.mpg": LATE_SEEK,
}
"""Files with which the SDK does not give the frames asked for, and why."""

CONVERTED_OTHERWISE = {
    "bear-640x360-hevc-hdr10.mp4": "10 bits",
    "bear-vp9-odd-dimensions.webm": "161x121",
    "roadtrip-vp92-10bit.webm": "10 bits",
    "rotated_hdr_video.mov": "10 bits",
    "sample_edit_list_no_sync_frame_before_edit.mp4": "10 bits",
    "sample_with_colr_mdcv_and_clli.mp4": "10 bits",
    "test.prores.mov": "10 bits, 4:2:2",
}
"""Files whose chroma is interpolated and whose values are rounded here; the SDK takes FFmpeg's short cuts."""

FRAMES = 48


@pytest.fixture(scope="module")
def verdicts(bench: Bench) -> Iterator[dict[str, Verdict]]:
    found: dict[str, Verdict] = {}
    yield found
    if path := os.environ.get("SUPERVISELY_REPORT"):
        facts = {"sdk": bench.sdk.do("facts"), "ours": bench.ours.do("facts")}
        Path(path).write_text(_report(found, facts))


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
    assert (verdict.difference > ROUNDING) == (file.path.name in CONVERTED_OTHERWISE), verdict.difference


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


def _report(verdicts: dict[str, Verdict], facts: dict[str, dict[str, Any]]) -> str:
    right = {name: verdict for name, verdict in verdicts.items() if not verdict.sdk}
    sideways = ", ".join(f"`{name}`" for name, verdict in verdicts.items() if verdict.turned)
    ours = sum(not verdict.ours for verdict in verdicts.values())
    alike = [v.difference for name, v in verdicts.items() if name not in CONVERTED_OTHERWISE]
    otherwise = ", ".join(
        f"`{name}` ({why}; {verdicts[name].average:.2f} on average in the worst picture)"
        for name, why in CONVERTED_OTHERWISE.items()
        if name in verdicts
    )
    versions = [f"PyAV {said['av']} (FFmpeg {said['ffmpeg']})" for said in (facts["sdk"], facts["ours"])]
    lines = [
        "# Supervisely's functions and the drop-in, file by file",
        "",
        f"Written by `nox -s supervisely` on {datetime.now(UTC):%Y-%m-%d}: supervisely {facts['sdk']['sdk']} "
        f"with {versions[0]}, asyncframes with {versions[1]}. "
        "[docs/supervisely.md](../../docs/supervisely.md) explains how the files are compared.",
        "",
        f"* The drop-in gives the frames of a plain decode on {ours} of {len(verdicts)} files.",
        f"* The SDK does so on {len(right)} files, and both write the same paths for these.",
        f"* Pixels of the drop-in differ from the plain decode's by at most {max(alike, default=0)} of 255 "
        f"levels, except in files whose chroma is interpolated and whose values are rounded: {otherwise}.",
        "* The SDK writes pictures as stored, and the drop-in upright. These were compared after "
        f"rotating: {sideways}.",
        "",
        "Files on which the SDK is wrong (`first-last` is the requested range, 0-based):",
        "",
        "| file | frames | reason | result |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| `{name}` | {verdict.frames} | {WRONG_IN_THE_SDK.get(name, '')} | {'; '.join(verdict.sdk)} |"
        for name, verdict in verdicts.items()
        if verdict.sdk
    ]
    return "\n".join(lines) + "\n"
