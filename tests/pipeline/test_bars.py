"""Progress bars end at 100 %, or say that they stopped early."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

import asyncframes as af
from asyncframes.cli import main
from asyncframes.errors import CorruptMediaError
from asyncframes.supervisely import SuperviselyServer, async_stream_video_frames
from tests.support.servers.supervisely_platform import TOKEN, Platform
from tests.support.streams.clips import clip_bytes

pytestmark = pytest.mark.anyio

CLIP = clip_bytes(frames=60, faststart=True)
TORN = CLIP[: len(CLIP) * 3 // 4]


@pytest.fixture
def supervisely() -> Iterator[SuperviselyServer]:
    with Platform() as platform:
        platform.add_video(1, CLIP)
        yield SuperviselyServer(platform.address, TOKEN)


def last_states(shown: str) -> dict[str, str]:
    """Return what each bar showed last, by its label."""
    states = [line.strip().partition(": ") for line in re.split(r"[\r\n]", shown) if ": " in line]
    return {label: state for label, _, state in states}


@pytest.mark.parametrize("options", [{"end": 5}, {"indices": [40]}, {}], ids=str)
async def test_packet_bars_end_at_100_percent(
    options: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where a part of the packets is all that the frames need."""
    await af.stream_frames_to_dir(CLIP, tmp_path, show_decoding_progress=True, **options)  # type: ignore[arg-type]
    states = last_states(capsys.readouterr().err)
    assert "Decoding packets" in states
    for state in states.values():
        assert "100%" in state
        assert "stopped early" not in state


async def test_packet_bars_say_that_they_stopped_early(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error leaves the bar where it was, with the reason that it is there."""
    with pytest.raises(CorruptMediaError):
        await af.stream_frames_to_dir(TORN, tmp_path, show_decoding_progress=True)
    state = last_states(capsys.readouterr().err)["Decoding packets"]
    assert "100%" not in state
    assert state.endswith("stopped early]")


async def test_no_bar_is_shown_without_stderr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program without a console may have none."""
    monkeypatch.setattr(sys, "stderr", None)
    assert len(await af.stream_frames_to_dir(CLIP, tmp_path, end=2, show_decoding_progress=True)) == 3
    with pytest.raises(CorruptMediaError):
        await af.stream_frames_to_dir(TORN, tmp_path / "torn", show_decoding_progress=True)


async def test_bars_of_the_drop_in_end_too(
    supervisely: SuperviselyServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """They go once all is read, at 100 %, and stay if their consumer left."""
    frames = async_stream_video_frames(supervisely, 1, 0, 3, show_decoding_progress=True)
    assert len([frame async for frame in frames]) == 4
    shown = capsys.readouterr().err
    assert "100%" in last_states(shown)["Decoding video ID 1"]
    assert "stopped early" not in shown
    async with aclosing(async_stream_video_frames(supervisely, 1, show_decoding_progress=True)) as frames:
        # The first frames come from opening; a bar is shown once more packets are read.
        for _ in range(20):
            await anext(frames)
    assert last_states(capsys.readouterr().err)["Decoding video ID 1"].endswith("stopped early]")


async def test_the_bar_of_many_videos_says_that_it_stopped_early(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It does so where the consumer leaves, with a length known or not, and never when all are done."""
    videos = [(CLIP, tmp_path / str(number)) for number in range(4)]
    for given in (videos, iter(videos)):
        async with aclosing(
            af.extract_many(given, end=1, concurrency=1, overwrite="replace", show_progress=True)
        ) as results:
            await anext(results)
        assert last_states(capsys.readouterr().err)["all"].endswith("stopped early]")
    given = iter(videos)
    async for _ in af.extract_many(given, end=1, overwrite="replace", show_progress=True):
        pass
    state = last_states(capsys.readouterr().err)["all"]
    assert "4/4" in state
    assert "stopped early" not in state


async def test_the_bar_of_one_video_ends_at_100_percent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also if the header promised more frames than there are, or is damaged."""
    clip = tmp_path / "clip.ts"
    clip.write_bytes(clip_bytes(frames=60, container="mpegts"))
    async for result in af.extract_many([(clip, tmp_path / "whole")], show_progress=True):
        assert result.error is None
    assert "100%" in last_states(capsys.readouterr().err)["whole"]
    async for result in af.extract_many([(TORN, tmp_path / "torn")], show_progress=True):
        assert result.error is not None
    assert last_states(capsys.readouterr().err)["torn"].endswith("stopped early]")


def test_bars_of_the_command_line_say_that_they_stopped_early(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bar on a terminal is left where the error came."""
    clip = tmp_path / "torn.mp4"
    clip.write_bytes(TORN)
    assert main(["extract", str(clip), str(tmp_path / "out"), "--progress", "--no-table-cache"]) == 1
    shown = capsys.readouterr().err
    assert "stopped early]" in shown
    clip.write_bytes(CLIP)
    command = ["extract", str(clip), str(tmp_path / "all"), "--indices", "40", "--progress"]
    assert main([*command, "--no-table-cache"]) == 0
    shown = capsys.readouterr().err
    assert "100%" in last_states(shown)["scan"]
    assert "stopped early" not in shown
