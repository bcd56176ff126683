"""How many threads a codec gets, and how they decode."""

from __future__ import annotations

import io

import av
import pytest

from asyncframes._media.codec.threads import threads_for
from tests.support.streams.clips import clip_bytes


@pytest.mark.parametrize("codec", ["hevc", "mpeg2video", "mpeg4", "vp8", "vp9", "theora"])
def test_codecs_whose_threads_hide_damage_get_one(codec: str) -> None:
    """One thread defines what is right."""
    assert threads_for(codec, 4).count == 1


def test_h264_conceals_quickly_with_several_threads_alone() -> None:
    """A mark that is set late may be lost. One thread conceals as FFmpeg does by default."""
    assert threads_for("h264", 4).options == {"ec": "favor_inter"}
    assert threads_for("h264", 1).options == {}


@pytest.mark.parametrize("count", [1, 2, 4])
def test_quick_concealment_still_marks(count: int) -> None:
    """FFmpeg marks a picture whose slice is cut off, and takes the option."""
    data = bytearray(clip_bytes(frames=24, gop=12, b_frames=0))
    with av.open(io.BytesIO(data), "r") as opened:
        packets = [packet for packet in opened.demux(opened.streams.video[0]) if packet.size]
    keyframe = packets[12]
    assert keyframe.pos is not None
    end = keyframe.pos + keyframe.size
    data[end - keyframe.size // 2 : end] = bytes(keyframe.size // 2)
    with av.open(io.BytesIO(data), "r") as opened:
        stream = opened.streams.video[0]
        stream.codec_context.thread_count = count
        stream.codec_context.options = threads_for("h264", count).options
        marked = [frame.is_corrupt for frame in opened.decode(stream)]
    assert marked[12]
    assert not any(marked[:12])
