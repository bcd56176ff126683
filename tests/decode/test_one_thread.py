"""Whatever the threads and the route: the frames, and the damage, of a decode by one thread."""

from __future__ import annotations

import io
import random
import zlib
from functools import cache

import av
import pytest

import asyncframes as af
from tests.support.exact.corpus import CorpusFile, parameters
from tests.support.isolation import in_threads
from tests.support.marks import grid
from tests.support.streams.clips import clip_bytes

CODECS: dict[str, tuple[str, str, dict[str, str]]] = {
    "h264": ("libx264", "mp4", {}),
    "h264, TS": ("libx264", "mpegts", {}),
    "hevc": ("libx265", "mp4", {}),
    "vp8": ("libvpx", "webm", {}),
    "vp9": ("libvpx-vp9", "webm", {}),
    "mpeg4": ("mpeg4", "avi", {}),
    "mpeg2": ("mpeg2video", "mpegts", {}),
    "mjpeg": ("mjpeg", "matroska", {"pixel_format": "yuvj420p"}),
}
GOP = 12
SEEDS, FEW_SEEDS = range(6), 2

Fingerprint = tuple[int, int, bool]


@cache
def damaged_clip(name: str, seed: int) -> bytes:
    """Return a clip of three GOPs; in the second, some packets have other bytes."""
    codec, container, more = CODECS[name]
    data = bytearray(clip_bytes(frames=36, gop=GOP, codec=codec, container=container, **more))
    with av.open(io.BytesIO(data), "r") as opened:
        packets = [packet for packet in opened.demux(opened.streams.video[0]) if packet.size]
    generator = random.Random(f"{name} {seed}")
    for packet in generator.sample(packets[GOP : 2 * GOP], generator.choice([1, 2, 4])):
        assert packet.pos is not None
        place = packet.pos + generator.randrange(packet.size)
        length = min(generator.choice([1, 8, 60]), packet.pos + packet.size - place)
        data[place : place + length] = generator.randbytes(length)
    return bytes(data)


def fingerprint(frame: af.Frame) -> Fingerprint:
    return frame.index, zlib.crc32(frame.image.data), frame.is_corrupt


def outcome(clip: bytes, *, threads: int, on_corrupt: str) -> tuple[list[Fingerprint], int | None]:
    """Return the frames of a whole pass, and the index in the error that ended it."""
    frames: list[Fingerprint] = []
    with af.sync.open_video(clip, threads=threads, on_corrupt=on_corrupt) as video:  # type: ignore[arg-type]
        try:
            frames.extend(map(fingerprint, video.frames()))
        except af.errors.CorruptMediaError as exc:
            return frames, exc.index
    return frames, None


@pytest.mark.parametrize("on_corrupt", ["raise", "skip", "keep"])
@pytest.mark.parametrize(("name", "seed"), grid(CODECS, SEEDS, fast=lambda _, seed: seed < FEW_SEEDS))
def test_a_pass_with_threads_is_that_of_one(name: str, seed: int, on_corrupt: str) -> None:
    """The same frames come out, and the same damage is reported at the same place."""
    clip = damaged_clip(name, seed)
    one = outcome(clip, threads=1, on_corrupt=on_corrupt)
    assert outcome(clip, threads=4, on_corrupt=on_corrupt) == one
    assert [index for index, *_ in one[0]] == sorted(index for index, *_ in one[0])


@pytest.mark.parametrize(("name", "seed"), grid(CODECS, SEEDS, fast=lambda _, seed: seed < FEW_SEEDS))
def test_frames_by_index_are_those_of_a_pass(name: str, seed: int) -> None:
    """Each frame, asked for alone in a video opened for it, is the one at its place in a pass.

    Unless damage that this video never read cost a frame before it, or changed the tables of a JPEG decoder:
    then the table says that it is provisional.
    """
    clip = damaged_clip(name, seed)
    frames, _ = outcome(clip, threads=1, on_corrupt="keep")
    generator = random.Random(seed)
    for index in generator.sample(range(len(frames)), min(8, len(frames))):
        with af.sync.open_video(clip, on_corrupt="keep") as video:
            frame, table = video.frame(index), video.frame_table()
        if index < GOP or not table.is_provisional or (len(table) == len(frames) and name != "mjpeg"):
            assert fingerprint(frame) == frames[index]


@pytest.mark.parametrize(("name", "seed"), grid(CODECS, SEEDS, fast=lambda _, seed: seed < FEW_SEEDS))
def test_after_a_pass_every_number_is_that_of_the_pass(name: str, seed: int) -> None:
    """What a pass showed of damage holds for all later requests."""
    clip = damaged_clip(name, seed)
    frames, _ = outcome(clip, threads=1, on_corrupt="keep")
    order = random.Random(seed).sample(range(len(frames)), len(frames))
    with af.sync.open_video(clip, on_corrupt="keep") as video:
        assert [fingerprint(frame) for frame in video.frames()] == frames
        assert video.count() == len(frames)
        found = [fingerprint(frame) for frame in video.frames(indices=order)]
        assert found == [frames[index] for index in order]
        assert fingerprint(video.frame(order[0])) == frames[order[0]]


@pytest.mark.parametrize("file", parameters())
def test_an_undamaged_file_stays_with_its_threads(file: CorpusFile) -> None:
    """Doubt is for damage and fields: other files of H.264 are decoded by all threads to their end."""
    if file.is_damaged or file.frame_count > 500:
        pytest.skip("damaged, or long")
    with av.open(str(file.path)) as container:
        stream = container.streams.video[0]
        if stream.codec_context is None or stream.codec_context.name != "h264":
            pytest.skip("another codec")
        interlaced = any(frame.interlaced_frame for frame in container.decode(stream))
    if interlaced:
        pytest.skip("fields are packets of their own")
    with af.sync.open_video(file.path, on_corrupt="keep", threads=4) as video:
        for _ in video.frames():
            pass
        idle = in_threads(video._video)._pool._idle
        assert not any(session.decoder.was_doubted for session in idle)
