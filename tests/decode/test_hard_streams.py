"""Streams that the corpus lacks: field pictures, packed and hidden frames, cut heads, times that mislead."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

import asyncframes as af
from tests.support.exact.exactness import fingerprint
from tests.support.exact.pictures import picture_md5, sequential_pictures
from tests.support.marks import BOTH_ISOLATIONS, grid
from tests.support.streams.hard import STREAMS

pytestmark = BOTH_ISOLATIONS

# One of each kind; for the others, opening anew for each index is a repetition.
REPRESENTATIVES = {
    "PAFF in Matroska, fields", "intra refresh in MPEG-TS", "packed B-frames in AVI",
    "H.264 open GOP in AVI", "VP9 of two sizes in WebM", "VP8 hidden frames in WebM",
    "HEVC from a CRA in MPEG-TS", "H.264 from an open GOP in MP4", "MPEG-TS cut in a GOP",
    "repeated pts in MPEG-TS", "edit list that trims an open GOP", "AV1 in IVF",
}  # fmt: skip

ALONE = {
    "PAFF in Matroska, fields", "packed B-frames in AVI", "H.264 from an open GOP in MP4",
    "MPEG-TS cut in a GOP", "AV1 in IVF",
}  # fmt: skip
"""Those of which the fast half opens a video for each frame."""

MadeStream = Callable[[str], Path]


@pytest.fixture(scope="module")
def made(ffmpeg: str, tmp_path_factory: pytest.TempPathFactory) -> MadeStream:
    """Make a stream once for all tests."""
    paths: dict[str, Path] = {}

    def make(name: str) -> Path:
        if name not in paths:
            folder = tmp_path_factory.mktemp("stream")
            paths[name] = folder / "stream"
            paths[name].write_bytes(STREAMS[name](ffmpeg, folder))
        return paths[name]

    return make


def md5s_of_program(ffmpeg: str, path: Path) -> list[str]:
    command = [ffmpeg, "-v", "quiet", "-flags", "bitexact", "-noautorotate", "-copyts", "-i", str(path)]
    command += ["-map", "0:v:0", "-fps_mode", "passthrough", "-enc_time_base", "-1", "-autoscale", "0"]
    printed = subprocess.run([*command, "-f", "framemd5", "-"], capture_output=True, check=True, text=True)
    return [line.split(",")[5].strip() for line in printed.stdout.splitlines() if line[:1] != "#"]


@pytest.mark.parametrize("name", grid(STREAMS, fast=REPRESENTATIVES.__contains__))
def test_the_sequence_is_that_of_ffmpeg(name: str, made: MadeStream, ffmpeg: str) -> None:
    """The ffmpeg program decodes the same pictures, in number, order and every bit."""
    found = [picture_md5(picture) for picture in sequential_pictures(made(name))]
    assert len(found) > 12
    assert found == md5s_of_program(ffmpeg, made(name))


@pytest.mark.anyio
@pytest.mark.parametrize("name", grid(STREAMS, fast=REPRESENTATIVES.__contains__))
async def test_count_is_the_number_of_frames(name: str, made: MadeStream) -> None:
    """`count` says how many frames a sequence has."""
    async with af.open_video(made(name), on_corrupt="keep") as video:
        length = len([frame.index async for frame in video.frames()])
    async with af.open_video(made(name), on_corrupt="keep") as video:
        assert await video.count() == length


@pytest.mark.anyio
@pytest.mark.parametrize("name", grid(STREAMS, fast=REPRESENTATIVES.__contains__))
async def test_any_order_gives_the_frames_of_the_sequence(name: str, made: MadeStream) -> None:
    """A request backwards, and one that jumps about, give the same frames as one from the start."""
    async with af.open_video(made(name), on_corrupt="keep") as video:
        sequence = [fingerprint(frame) async for frame in video.frames()]
    length = len(sequence)
    for order in (range(length - 1, -1, -1), [turn * 7919 % length for turn in range(length)]):
        async with af.open_video(made(name), on_corrupt="keep") as video:
            found = [fingerprint(frame) async for frame in video.frames(indices=order)]
        assert found == [sequence[index] for index in order]


@pytest.mark.anyio
@pytest.mark.parametrize("name", grid(STREAMS, fast=ALONE.__contains__))
async def test_each_index_alone_gives_the_frame_of_the_sequence(name: str, made: MadeStream) -> None:
    """A video opened for one frame gives that frame: nothing learnt before may be needed."""
    async with af.open_video(made(name), on_corrupt="keep") as video:
        sequence = [fingerprint(frame) async for frame in video.frames()]
    for index, expected in enumerate(sequence):
        async with af.open_video(made(name), on_corrupt="keep") as video:
            assert fingerprint(await video.frame(index)) == expected


@pytest.mark.anyio
@pytest.mark.parametrize(
    "name", ["VP8 hidden frames in WebM", "PAFF in Matroska, fields", "PAFF in MPEG-TS, fields"]
)
async def test_packets_that_are_never_shown_are_no_damage_in_an_upload(name: str, made: MadeStream) -> None:
    """What comes once cannot be decoded again to see; all frames come, and no error."""

    async def upload() -> AsyncIterator[bytes]:
        yield made(name).read_bytes()

    expected = [index async for index, _ in af.stream_frames(made(name), threads=1)]
    assert [index async for index, _ in af.stream_frames(upload(), threads=4)] == expected
