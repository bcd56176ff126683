"""What PyAV raises in hostile or odd bytes never reaches a user."""

from __future__ import annotations

import gc
import io
import weakref
from contextlib import suppress
from typing import Any

import av
import numpy as np
import pytest

import asyncframes as af
from asyncframes import errors
from asyncframes._media.boundary import PyAVCalls, PyAVError, packets_of
from tests.support.exact.corpus import SHARED
from tests.support.streams.clips import clip_bytes

pytestmark = pytest.mark.anyio


_FILLED = 450_000


def _tag(kind: int, head: bytes, body: bytes) -> bytes:
    tag = bytes([kind]) + len(body).to_bytes(3, "big") + head + body
    return tag + len(tag).to_bytes(4, "big")


def flv_with_late_audio() -> bytes:
    """Return an FLV of more than FFmpeg reads when it opens one, whose only audio tag is the last."""
    clip, position = clip_bytes(frames=14, container="flv"), 13
    filler = _FILLED.to_bytes(4, "big") + b"\x0c" + b"\xff" * (_FILLED - 2) + b"\x80"
    tags = [clip[:position]]
    while position < len(clip):
        end = position + 11 + int.from_bytes(clip[position + 1 : position + 4], "big")
        is_picture = clip[position] == 9 and clip[position + 12] == 1
        body = clip[position + 11 : end] + (filler if is_picture else b"")
        tags.append(_tag(clip[position], clip[position + 4 : position + 11], body))
        position = end + 4
    return b"".join([*tags, _tag(8, bytes(7), b"\x2f\0" + bytes(100))])


async def test_a_stream_that_appears_late_leaves_the_video_whole() -> None:
    """The file is intact: every frame comes, by index and in sequence."""
    async with af.open_video(flv_with_late_audio()) as video:
        assert await video.count() == 14
        frames = [frame async for frame in video.frames()]
        assert [frame.index for frame in frames] == list(range(14))
        np.testing.assert_array_equal((await video.frame(13)).image, frames[13].image)


def test_the_late_stream_is_unknown_when_the_file_is_opened() -> None:
    """PyAV lists the streams that there are on opening; behind the last packet it looks for all."""
    with av.open(io.BytesIO(flv_with_late_audio()), "r") as container:
        stream = container.streams.video[0]
        assert len(list(packets_of(container, stream))) >= 14
        assert len(container.streams) == 1, "all streams are known at once: the test above tests nothing"


@pytest.mark.parametrize(
    "raised",
    [ValueError, IndexError, OverflowError, MemoryError, AttributeError, KeyError, av.InvalidDataError],
)
def test_whatever_a_call_raises_is_one_error(raised: type[Exception]) -> None:
    """No kind of exception passes the boundary but our own."""
    arguments: tuple[Any, ...] = (1, "broken", "name") if issubclass(raised, av.FFmpegError) else ("broken",)
    with pytest.raises(PyAVError, match="broken"), PyAVCalls():
        raise raised(*arguments)


def test_errors_of_ours_pass() -> None:
    """What a read of the source raised is not hidden behind PyAV's name."""
    with pytest.raises(errors.SourceUnavailableError), PyAVCalls():
        raise errors.SourceUnavailableError("gone")


async def test_a_gif_of_ten_bytes_is_a_named_error() -> None:
    """It names itself a GIF and ends before its first field does."""
    path = SHARED / "found" / "fz_e34116d68f49c7852b362ec72a636df5.gif"
    data = path.read_bytes() if path.exists() else b"GIF89ad\0d\0"
    async with af.open_video(data) as video:
        with suppress(errors.MediaError):
            assert await video.count() == 0
        with pytest.raises((errors.MediaError, errors.FrameIndexError)):
            await video.frame(0)


def test_an_error_of_pyav_keeps_nothing_alive() -> None:
    """A packet keeps its codec and the codec's threads, so a frame of the stack may not keep the packet."""

    class Held:
        pass

    def call() -> weakref.ref[Held]:
        held = Held()
        with suppress(PyAVError), PyAVCalls():
            raise av.InvalidDataError(1, "from FFmpeg")
        return weakref.ref(held)

    gc.disable()
    try:
        assert call()() is None
    finally:
        gc.enable()
