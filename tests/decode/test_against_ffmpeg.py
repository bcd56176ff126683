"""Frames against those of the ffmpeg program, an independent way from file to RGB."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import asyncframes as af
from tests.support.marks import BOTH_ISOLATIONS
from tests.support.streams.clips import clip_bytes, painted_index

pytestmark = BOTH_ISOLATIONS

# Versions of swscale round differently, and ffmpeg's default flags are not accurate ones.
LEVELS = 2

CLIPS: dict[str, dict[str, Any]] = {
    "B-frames": {},
    "odd size": {"width": 98, "height": 66},
    "4:2:2": {"pixel_format": "yuv422p"},
    "4:4:4": {"pixel_format": "yuv444p"},
    "full range": {"pixel_format": "yuvj420p"},
    "HEVC": {"codec": "libx265", "width": 128, "height": 96},
    "VP9": {"codec": "libvpx-vp9", "container": "webm"},
    "turned": {"rotation": 90},
    "turned and mirrored": {"rotation": 270, "mirrored": True},
}


@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.parametrize("kind", CLIPS)
async def test_rgb_is_that_of_ffmpeg(kind: str, tmp_path: Path, ffmpeg: str) -> None:
    """Every frame agrees within rounding, upright, in number and order."""
    path = tmp_path / "clip"
    path.write_bytes(clip_bytes(frames=24, **CLIPS[kind]))
    command = [ffmpeg, "-v", "error", "-i", str(path), "-fps_mode", "passthrough"]
    command += ["-sws_flags", "bilinear", "-pix_fmt", "rgb24", "-f", "rawvideo", "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout  # noqa: ASYNC221
    ours = np.stack([image async for _, image in af.stream_frames(path)])
    theirs = np.frombuffer(raw, np.uint8).reshape(ours.shape)
    assert np.abs(ours.astype(np.int16) - theirs).max() <= LEVELS


TIMES: dict[str, dict[str, Any]] = {
    "even": {},
    "uneven": {"pts": [7 + index + index * index // 9 for index in range(48)]},
    "MPEG-TS": {"container": "mpegts"},
}


@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("fps", ["5", "7", "25/2", "25", "30", "60"])
async def test_resampling_picks_the_frames_of_the_fps_filter(
    times: str, fps: str, tmp_path: Path, ffmpeg: str
) -> None:
    """At each tick the same frame is shown; only how long the last one lasts is told otherwise."""
    path = tmp_path / "clip"
    path.write_bytes(clip_bytes(frames=48, **TIMES[times]))
    async with af.open_video(path) as video:
        ours = (await video.indices(fps=Fraction(fps))).tolist()
        start, shape = (await video.frame(0)).pts_seconds, (video.info.height, video.info.width, 3)
    command = [ffmpeg, "-v", "error", "-copyts", "-i", str(path), "-fps_mode", "passthrough"]
    command += ["-vf", f"fps={fps}:round=up:start_time={start}", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout  # noqa: ASYNC221
    theirs = [painted_index(image) for image in np.frombuffer(raw, np.uint8).reshape(-1, *shape)]
    common = min(len(ours), len(theirs))
    assert common >= sum(index < 47 for index in ours)
    assert ours[:common] == theirs[:common]
    assert {*ours[common:], *theirs[common:]} <= {47}
