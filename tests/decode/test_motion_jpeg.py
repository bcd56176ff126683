"""Motion JPEG without a container: a video, although FFmpeg takes most of it for one picture."""

from __future__ import annotations

import io
from typing import Any

import av
import pytest

import asyncframes as af
from asyncframes import errors
from asyncframes._media.checked import MalformedError
from asyncframes._media.container.motion_jpeg import begins_with_two
from tests.support.marks import BOTH_ISOLATIONS
from tests.support.servers.web import RunningServer
from tests.support.streams.clips import clip_bytes, painted_index
from tests.support.streams.uploads import in_pieces

pytestmark = [pytest.mark.anyio, BOTH_ISOLATIONS]

FRAMES = 12
START, END = b"\xff\xd8", b"\xff\xd9"
JFIF = b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"
# Any number of these may precede a marker. FFmpeg looks at the first 2048 bytes, which here end in a picture.
FILL = b"\xff" * 4096
MPF = b"\xff\xe2\0\x0aMPF\0MM\0*"


def pictures(width: int = 96) -> list[bytes]:
    """Return JPEG pictures with JFIF headers, as most encoders write them."""
    clip = clip_bytes(frames=FRAMES, codec="mjpeg", container="mjpeg", pixel_format="yuvj420p", width=width)
    return [START + JFIF + piece.removeprefix(START) + FILL + END for piece in clip.split(END) if piece]


def test_ffmpeg_takes_it_for_one_picture() -> None:
    """If this fails, FFmpeg has learnt to tell, and asyncframes need not look any more."""
    with av.open(io.BytesIO(b"".join(pictures()))) as container:
        assert container.format.name == "jpeg_pipe"


@pytest.mark.parametrize("padding", [b"", bytes(7), b"\xff" * 5])
@pytest.mark.parametrize("way", ["bytes", "HTTP", "upload"])
async def test_all_frames_of_motion_jpeg_are_there(way: str, padding: bytes, server: RunningServer) -> None:
    """Pictures may be padded to whole sectors. An upload is not read twice."""
    data = padding.join(pictures())
    server.serve("/clip", data)
    source: Any = {"bytes": data, "HTTP": server.url("/clip"), "upload": in_pieces(data, 1000)}[way]
    async with af.open_video(source) as video:
        assert video.info.container == "mjpeg"
        assert [painted_index(frame.image) async for frame in video.frames()] == list(range(FRAMES))


async def test_the_second_picture_may_begin_far_behind() -> None:
    """Bytes that FFmpeg reads only to decode are looked through."""
    first, second, *_ = pictures()
    async with af.open_video(first.replace(FILL, 300 * FILL) + second) as video:
        assert await video.count() == 2


def test_a_thumbnail_in_the_header_is_no_picture() -> None:
    """It begins and ends as pictures do."""
    first, second, *_ = pictures()
    header = b"\xff\xe1" + (len(first) + 2).to_bytes(2, "big") + first
    assert begins_with_two(first.replace(JFIF, JFIF + header) + second)
    with pytest.raises(MalformedError):
        begins_with_two(first.replace(JFIF, JFIF + header))


@pytest.mark.parametrize(
    ("what", "data"),
    [
        ("one picture", pictures()[0]),
        ("one that lists those behind it", b"".join(pictures()).replace(JFIF, JFIF + MPF, 1)),
        ("a large and a small one", pictures()[0] + pictures(width=64)[0]),
        ("one and a video", pictures()[0] + clip_bytes(frames=4)),
    ],
)
async def test_a_photograph_is_no_video(what: str, data: bytes) -> None:
    """Cameras and phones store previews, gain maps and short videos behind a photograph."""
    with pytest.raises(errors.UnsupportedMediaError, match="a JPEG picture is not among the formats"):
        await af.open_video(data)
