"""The clips that other tests trust."""

from __future__ import annotations

import io
import os
import sys
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.streams.clips import audio_bytes, clip_bytes, make_clip, paint, painted_index


@given(index=st.integers(0, 2**16 - 1), width=st.integers(16, 200), height=st.integers(8, 200))
def test_what_is_painted_is_read(index: int, width: int, height: int) -> None:
    """Every index is read from its picture, in colour, in gray, and with an alpha plane."""
    image = paint(index, width, height)
    assert painted_index(image) == index
    assert painted_index(image[..., ::-1]) == index
    assert painted_index(image[..., 1]) == index
    assert painted_index(np.dstack([image, np.full((height, width), 255, np.uint8)])) == index


@pytest.mark.parametrize("index", [0, 1, 47, 2**16 - 1])
def test_a_turned_or_damaged_picture_is_no_index(index: int) -> None:
    """A picture that is turned, mirrored, black or half black is refused."""
    image = paint(index, 96, 64)
    half_black = image.copy()
    half_black[:, :48] = 0
    for wrong in (image[::-1, ::-1], image[:, ::-1], np.rot90(image), np.zeros_like(image), half_black):
        with pytest.raises(ValueError, match="no painted index"):
            painted_index(wrong)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"faststart": True, "audio": True},
        {"fragmented": True},
        {"open_gop": True, "b_frames": 3},
        {"container": "mpegts", "audio": True},
        {"container": "matroska", "pts": tuple(range(5, 53))},
        {"container": "avi", "codec": "mpeg4"},
        {"container": "webm", "codec": "libvpx-vp9", "audio": True},
        {"codec": "libx265"},
        {"container": "h264"},
        {"container": "mov", "codec": "rawvideo", "pixel_format": "rgb24", "width": 97, "height": 65},
    ],
    ids=str,
)
def test_frames_name_themselves_after_coding(options: dict[str, Any]) -> None:
    """A clip decodes to its frames in order, whatever holds them."""
    with av.open(io.BytesIO(clip_bytes(frames=48, **options)), "r") as container:
        images = [
            np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in container.decode(video=0)
        ]
    assert [painted_index(image) for image in images] == list(range(48))


def test_default_clip_is_the_hard_case() -> None:
    """By default packets are out of presentation order and the header comes last."""
    data = clip_bytes()
    assert data.index(b"mdat") < data.index(b"moov")
    with av.open(io.BytesIO(data), "r") as container:
        pts = [packet.pts for packet in container.demux(video=0) if packet.pts is not None]
    assert pts != sorted(pts)


def test_a_buffer_gets_what_a_file_gets() -> None:
    """A buffer holds the clip and stands at its start."""
    buffer = io.BytesIO()
    clip = make_clip(buffer, frames=5)
    assert clip.frames == 5
    assert buffer.read() == clip_bytes(frames=5)


def test_a_tone_has_no_picture() -> None:
    """The audio file holds audio and nothing else."""
    with av.open(io.BytesIO(audio_bytes()), "r") as container:
        assert [stream.type for stream in container.streams] == ["audio"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_encoding_leaves_the_priority_of_the_thread() -> None:
    """SVT-AV1 makes it a real-time thread, as the superuser."""
    before = os.sched_getscheduler(0)
    clip_bytes(codec="libsvtav1", frames=3)
    assert os.sched_getscheduler(0) == before
