"""The first look at a video. Where the header tells how pictures look, opening decodes none."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import asyncframes as af
from asyncframes._media.codec.decoder import Decoder
from asyncframes._media.codec.pictures import Picture
from asyncframes._media.container.opening import ContainerOptions
from asyncframes._media.files.media_files import DirectFile
from asyncframes._media.first_look import FirstLook, first_look, quick_look
from tests.support.streams.clips import clip_bytes, painted_index

SHARED = Path(__file__).parents[3] / "shared"
FILES = sorted(
    path
    for folder in ("corpus", "found")
    for path in (SHARED / folder).rglob("*.m*")
    if path.suffix in {".mp4", ".mov", ".m4v"} and path.stat().st_size < 8 * 1024**2
)

HEADER_TELLS: list[dict[str, Any]] = [
    {},
    {"b_frames": 0, "gop": 1},
    {"faststart": True, "audio": True},
    {"pixel_format": "yuv444p"},
    {"pixel_format": "yuvj420p"},
    {"width": 98, "height": 66},
    {"options": {"x264-params": "colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:range=pc"}},
]
PICTURE_TELLS: list[dict[str, Any]] = [
    {"rotation": 90},
    {"rotation": 180},
    {"mirrored": True},
    {"height": 96, "options": {"x264-params": "tff=1:keyint=12:scenecut=0:b-adapt=0"}},
    {"options": {"x264-params": "pic-struct=1:nal-hrd=vbr:vbv-maxrate=500:vbv-bufsize=500"}},
    {"options": {"x264-params": "repeat-headers=1"}},
    {"options": {"x264-params": "frame-packing=3"}},
    {"codec": "libx265"},
    {"container": "matroska"},
    {"fragmented": True, "codec": "libx265"},
]


def decoder_of(data: bytes) -> Decoder:
    options = ContainerOptions(stream_index=None, threads=4, max_pixels=1 << 26)
    return Decoder(DirectFile(io.BytesIO(data), len(data), "clip"), options)


def looks_at(data: bytes, monkeypatch: pytest.MonkeyPatch) -> tuple[FirstLook, FirstLook, bool]:
    """Return the quick look, the thorough one, and whether the quick one decoded a picture."""
    peeked: list[Decoder] = []
    peek = Decoder.peek

    def noted(decoder: Decoder) -> Picture | None:
        peeked.append(decoder)
        return peek(decoder)

    quick, thorough = decoder_of(data), decoder_of(data)
    try:
        monkeypatch.setattr(Decoder, "peek", noted)
        look = quick_look(quick, len(data))
        return look, first_look(thorough, len(data)), quick in peeked
    finally:
        monkeypatch.undo()
        quick.close()
        thorough.close()


def check(look: FirstLook, thorough: FirstLook) -> None:
    assert look.info == thorough.info
    assert (look.first_pts, look.has_picture) == (thorough.first_pts, thorough.has_picture)
    assert look.hints.has_fields == thorough.hints.has_fields
    assert look.hints.reorders == thorough.hints.reorders
    shorter, longer = sorted((look.first_packets, thorough.first_packets), key=len)
    assert longer.begin_with(shorter)


@pytest.mark.parametrize("options", HEADER_TELLS, ids=str)
def test_what_the_header_tells_is_not_decoded(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look is the one that decoding the first picture gives."""
    look, thorough, has_decoded = looks_at(clip_bytes(**options), monkeypatch)
    check(look, thorough)
    assert not has_decoded


@pytest.mark.parametrize("options", PICTURE_TELLS, ids=str)
def test_what_a_picture_may_tell_is_decoded(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Turned pictures, fields, parameters and messages in the stream, other codecs and containers."""
    look, thorough, has_decoded = looks_at(clip_bytes(**options), monkeypatch)
    check(look, thorough)
    assert has_decoded


@pytest.mark.skipif(not FILES, reason="shared/ is not there")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_real_files(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it decodes or not, a quick look sees what a thorough one sees."""
    try:
        look, thorough, _ = looks_at(path.read_bytes(), monkeypatch)
    except af.errors.MediaError:
        pytest.skip("not opened")
    check(look, thorough)


def damaged(data: bytes) -> Iterator[bytes]:
    """Damage the first packets one byte at a time, and their header in several places."""
    begin = data.index(b"mdat") + 4
    for place in range(begin, begin + 1200, 40):
        yield data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]


def test_damage_changes_no_fact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Facts come from the header, and a damaged first picture has the same."""
    for data in damaged(clip_bytes()):
        look, thorough, _ = looks_at(data, monkeypatch)
        assert look.info == thorough.info
        assert look.has_picture == thorough.has_picture


@pytest.mark.anyio
async def test_frames_come_from_an_unread_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packets that were looked at are decoded all the same, forward and by index."""

    def refuse(_decoder: Decoder) -> None:
        raise AssertionError("a picture was decoded ahead")

    monkeypatch.setattr(Decoder, "peek", refuse)
    for frames in (1, 3, 48):
        data = clip_bytes(frames=frames)
        async with af.open_video(data) as video:
            assert [painted_index(frame.image) async for frame in video.frames()] == [*range(frames)]
            assert await video.count() == frames
            assert painted_index((await video.frame(frames - 1)).image) == frames - 1
        async with af.open_video(data) as video:
            assert painted_index((await video.frame(frames - 1)).image) == frames - 1
            assert painted_index((await video.frame(0)).image) == 0
