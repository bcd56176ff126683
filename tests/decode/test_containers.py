"""Which containers are opened, and what is said of the others."""

from __future__ import annotations

from pathlib import Path

import pytest

import asyncframes as af
from asyncframes import errors
from asyncframes._media.mp4.boxes import boxes_in
from tests.support.exact.corpus import SHARED
from tests.support.marks import BOTH_ISOLATIONS
from tests.support.streams.clips import clip_bytes
from tests.support.streams.hostile import box, endless_moov

pytestmark = [pytest.mark.anyio, BOTH_ISOLATIONS]
FOUND = SHARED / "found"
needs_found = pytest.mark.skipif(not FOUND.is_dir(), reason="../shared/found is not beside this checkout")


@needs_found
async def test_a_container_that_is_not_allowed_says_so() -> None:
    """The error names the way to allow it, and that way works."""
    path = FOUND / "ft_fixture.swf"
    with pytest.raises(errors.UnsupportedMediaError, match=r"not among the formats.*allow_containers"):
        await af.open_video(path)
    async with af.open_video(path, allow_containers=("swf",)) as video:
        assert (await video.frame(0)).image.shape == (133, 200, 3)


@needs_found
async def test_a_still_webp_is_one_frame() -> None:
    """It is a picture in a safe container."""
    async with af.open_video(FOUND / "ft_fixture.webp") as video:
        assert await video.count() == 1


@pytest.mark.parametrize(
    ("names", "error"), [("swf", TypeError), (("hls",), ValueError), (("no",), ValueError)]
)
def test_what_may_be_allowed(names: object, error: type[Exception]) -> None:
    """Names that open further addresses, and that FFmpeg does not know, are refused at once."""
    with pytest.raises(error, match="allow_containers"):
        af.open_video(b"", allow_containers=names)  # type: ignore[arg-type]  # one of them is wrong on purpose


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (
            b"\xef\xbb\xbf\n<!DOCTYPE html><title>Sign in</title>",
            "a web page or XML, not video: check the address",
        ),
        (b'{"error": "expired"}', "JSON, not video: check the address"),
        (b"#EXTM3U\n#EXTINF:10,\nfirst.ts\n", "a playlist or script that refers to other files"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n",
            "a pointer of Git LFS: git lfs pull",
        ),
        (b"PK\3\4" + bytes(60), "a ZIP archive"),
        (b"\x1f\x8b\x08" + bytes(60), "compressed by gzip"),
        (b"ID3\4" + bytes(60), "MP3 audio, without a video"),
        (b"RIFF\x24\0\0\0WAVEfmt " + bytes(60), "WAV audio, without a video"),
        (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(60), r"a JPEG 2000 picture.*allow_containers=\('j2k_pipe',\)"),
    ],
)
async def test_what_takes_the_place_of_a_video_is_named(data: bytes, what: str) -> None:
    """An answer of a server, a pointer and an archive have their own remedies."""
    with pytest.raises(errors.UnsupportedMediaError, match=what):
        await af.open_video(data)


async def test_an_animated_webp_is_refused_by_name() -> None:
    """FFmpeg would show one picture of it."""
    data = b"RIFF" + (22).to_bytes(4, "little") + b"WEBPVP8X" + (10).to_bytes(4, "little") + b"\2" + bytes(9)
    with pytest.raises(errors.UnsupportedMediaError, match="animated WebP"):
        await af.open_video(data)


@needs_found
@pytest.mark.parametrize("name", ["av_colors-animated-8bpc.avif", "av_colors-animated-8bpc-audio.avif"])
async def test_the_track_of_an_animated_avif_is_the_video(name: str, tmp_path: Path) -> None:
    """Its still picture is not."""
    async with af.open_video(FOUND / name) as video:
        assert await video.count() == 5
        assert [frame.pts async for frame in video.frames()] == [0, 1, 2, 3, 4]


async def test_a_header_that_claims_a_million_megabytes_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    """Also from memory or over a network, where the header is fetched before FFmpeg asks for it."""
    path = tmp_path / "moov.mp4"
    endless_moov(path)
    async with af.open_video(path.read_bytes()) as video:
        assert await video.count() == 8


async def test_more_frames_than_a_table_may_list_are_refused() -> None:
    """The error names the option; frames in sequence need no table."""
    async with af.open_video(clip_bytes(frames=24), max_table_frames=10) as video:
        with pytest.raises(errors.UnsupportedMediaError, match="max_table_frames=10"):
            await video.count()
        assert len([frame async for frame in video.frames(0, 11)]) == 12


async def test_a_grid_of_tiles_is_refused_by_name() -> None:
    """FFmpeg would give its first tile for the picture."""
    item = box(b"infe", b"\2\0\0\0" + b"\0\1\0\0" + b"grid\0")
    meta = box(b"meta", bytes(4) + box(b"pitm", bytes(4) + b"\0\1") + box(b"iinf", bytes(4) + b"\0\1" + item))
    with pytest.raises(errors.UnsupportedMediaError, match="grid of tiles"):
        await af.open_video(box(b"ftyp", b"heic\0\0\0\0heicmif1") + meta + box(b"mdat", bytes(64)))


@pytest.mark.parametrize("place", ["before", "in moov", "behind"])
@pytest.mark.parametrize(
    "items",
    [
        pytest.param(box(b"iinf", b"\1\0\0\0" + b"\x08\0\0\0"), id="iinf"),
        pytest.param(box(b"iloc", b"\2\0\0\0" + b"\x44\0" + b"\x08\0\0\0"), id="iloc"),
    ],
)
async def test_a_header_that_lists_more_items_than_any_picture_has_is_refused(
    items: bytes, place: str
) -> None:
    """FFmpeg would take a gigabyte for them, before it finds that they are not there."""
    clip, meta = clip_bytes(frames=8, faststart=True), box(b"meta", bytes(4) + items)
    moov = next(found for found in boxes_in(clip) if found.kind == b"moov")
    if place == "in moov":
        header = clip[moov.begin : moov.end] + meta
        header = len(header).to_bytes(4, "big") + header[4:]
    else:
        parts = [meta, clip[moov.begin : moov.end]]
        header = b"".join(parts if place == "before" else reversed(parts))
    with pytest.raises(errors.UnsupportedMediaError, match="134217728 items: expected at most 65536"):
        await af.open_video(clip[: moov.begin] + header + clip[moov.end :])


async def test_boxes_nested_thousands_deep_are_a_named_error() -> None:
    """FFmpeg refuses them, too."""
    clip, nested = clip_bytes(frames=8, faststart=True), b""
    moov = next(found for found in boxes_in(clip) if found.kind == b"moov")
    for _ in range(3000):
        nested = box(b"edts", nested)
    header = box(b"moov", clip[moov.body : moov.end] + box(b"trak", nested))
    with pytest.raises(errors.UnsupportedMediaError, match="damaged"):
        await af.open_video(clip[: moov.begin] + header + clip[moov.end :])


@pytest.mark.parametrize("kind", ["ctts", "ctts in a box that is too long", "ctts beyond the header", "sbgp"])
async def test_runs_of_more_samples_than_allowed_are_refused(kind: str) -> None:
    """FFmpeg would unroll them: half a gigabyte for one changed byte."""
    clip = bytearray(clip_bytes(frames=12, codec="libx265", width=128, height=96, faststart=True))
    runs = clip.index(b"ctts")
    if kind == "sbgp":
        # In the place of ``ctts``, which is longer.
        clip[runs : runs + 4] = b"sbgp"
        clip[runs + 8 : runs + 24] = (
            b"sync" + (1).to_bytes(4, "big") + (1 << 27).to_bytes(4, "big") + bytes(4)
        )
    elif kind == "ctts beyond the header":
        clip[runs + 8 : runs + 12] = (1 << 20).to_bytes(4, "big")
    else:
        clip[runs + 12] = 8
    if "too long" in kind:
        begin = clip.index(b"minf") - 4
        clip[begin] = 0x7F
    with pytest.raises(errors.UnsupportedMediaError, match="samples: expected at most 8388608"):
        await af.open_video(bytes(clip))
