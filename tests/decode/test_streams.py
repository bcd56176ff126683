"""Which of several streams is the video."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import pytest
from av.stream import Disposition
from av.video.stream import VideoStream

import asyncframes as af
from asyncframes.errors import NoVideoStreamError
from tests.support.exact.corpus import CORPUS
from tests.support.marks import BOTH_ISOLATIONS
from tests.support.streams.clips import audio_bytes, paint, painted_index

pytestmark = BOTH_ISOLATIONS

COVER = Disposition.attached_pic
DEFAULT = Disposition.default
NEITHER = Disposition(0)


def several_streams(*dispositions: Disposition, container: str = "matroska") -> bytes:
    """Encode a stream for each disposition; frame i of stream n shows ``100 * n + i``."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as writer:
        streams = []
        for number, disposition in enumerate(dispositions):
            stream = writer.add_stream("mjpeg" if disposition == COVER else "libx264", rate=25)
            assert isinstance(stream, VideoStream)
            stream.width, stream.height = 96 + 32 * number, 64
            stream.pix_fmt = "yuvj420p" if disposition == COVER else "yuv420p"
            stream.disposition = disposition
            streams.append(stream)
        for number, stream in enumerate(streams):
            for index in range(1 if dispositions[number] == COVER else 4):
                image = paint(100 * number + index, stream.width, stream.height)
                frame = av.VideoFrame.from_ndarray(image, "rgb24").reformat(format=stream.pix_fmt)
                frame.pts, frame.time_base = index, Fraction(1, 25)
                writer.mux(stream.encode(frame))
            writer.mux(stream.encode())
    return file.getvalue()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("dispositions", "chosen"),
    [
        ((NEITHER, NEITHER), 0),
        ((DEFAULT, DEFAULT), 0),
        ((NEITHER, DEFAULT), 1),
        ((DEFAULT, NEITHER, DEFAULT), 0),
    ],
)
async def test_the_video_is_the_first_default_stream(
    dispositions: tuple[Disposition, ...], chosen: int
) -> None:
    """Without an index the container's own choice is taken; with one, that stream and no other."""
    clip = several_streams(*dispositions)
    async with af.open_video(clip) as video:
        assert video.info.stream_index == chosen
        assert [stream.index for stream in video.info.video_streams] == list(range(len(dispositions)))
        assert [stream.is_default for stream in video.info.video_streams] == [
            bool(disposition & DEFAULT) for disposition in dispositions
        ]
        frames = [frame async for frame in video.frames(indices=[3, 0, 2])]
        assert [painted_index(frame.image) for frame in frames] == [
            100 * chosen + index for index in (3, 0, 2)
        ]
    for number in range(len(dispositions)):
        async with af.open_video(clip, stream_index=number) as video:
            assert video.info.stream_index == number
            assert (video.info.width, await video.count()) == (96 + 32 * number, 4)
            assert painted_index((await video.frame(-1)).image) == 100 * number + 3


@pytest.mark.anyio
async def test_a_stream_that_is_not_there_is_a_named_error() -> None:
    """The error tells which streams there are."""
    clip = several_streams(DEFAULT, NEITHER)
    with pytest.raises(NoVideoStreamError, match=r"video stream 7 is not there.*0: video, 1: video"):
        await af.open_video(clip, stream_index=7)


@pytest.mark.anyio
async def test_a_file_without_video_is_a_named_error() -> None:
    """Sound alone is no video, and the error says what it is."""
    with pytest.raises(NoVideoStreamError, match=r"a video stream is not there.*0: audio"):
        await af.open_video(audio_bytes(seconds=0.2))


@pytest.mark.anyio
@pytest.mark.parametrize(("name", "cover"), [("testMP4_twoCovers.m4a", 1), ("metadata.mp4", 2)])
async def test_cover_art_is_not_the_video(name: str, cover: int) -> None:
    """A picture that goes with a file is listed and never decoded, not even when it is all there is."""
    path: Path = CORPUS / name
    if not path.exists():
        pytest.skip("the corpus of real files (../shared/corpus) is not beside this checkout")
    with pytest.raises(NoVideoStreamError, match=f"{cover}: cover art"):
        await af.open_video(path, stream_index=cover)
    if name.endswith("m4a"):
        with pytest.raises(NoVideoStreamError, match="cover art"):
            await af.open_video(path)
        return
    async with af.open_video(path) as video:
        assert video.info.stream_index == 0
        assert [stream.is_cover_art for stream in video.info.video_streams] == [False, True]


@pytest.mark.anyio
async def test_information_is_plain_values() -> None:
    """`as_dict` holds nothing that JSON has no word for, streams included."""
    async with af.open_video(several_streams(DEFAULT, NEITHER)) as video:
        values = video.info.as_dict()
    assert values["video_streams"][1] == {
        "index": 1,
        "codec": "h264",
        "width": 128,
        "height": 64,
        "is_default": False,
        "is_cover_art": False,
    }
    assert values["sample_aspect_ratio"] == "1/1"
