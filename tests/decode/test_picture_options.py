"""Size, orientation, fields, tones and opacity as asked, and the same however a frame is reached."""

from __future__ import annotations

import io
import random
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.filter import Graph
from av.packet import PacketSideData
from av.video.stream import VideoStream
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import asyncframes as af
from asyncframes import ImageFormat
from asyncframes._media.image import tone as _tone
from asyncframes._model.rendering import Rendering
from asyncframes.errors import CorruptMediaError, UnsupportedMediaError
from tests.support.exact.corpus import CORPUS
from tests.support.marks import BOTH_ISOLATIONS
from tests.support.streams.clips import clip_bytes, paint, painted_index
from tests.support.streams.patches import Patches, lossless, middles

pytestmark = BOTH_ISOLATIONS

INTERLACED: dict[str, Any] = {
    "frames": 40,
    "options": {"x264-params": "scenecut=0:b-adapt=0:keyint=12:min-keyint=12:open-gop=1:tff=1"},
}


def corpus_file(name: str) -> Path:
    if not (CORPUS / name).exists():
        pytest.skip("the corpus of real files (../shared/corpus) is not beside this checkout")
    return CORPUS / name


async def images(video: bytes | Path, **options: Any) -> list[NDArray[Any]]:
    async with af.open_video(video) as opened:
        return [frame.image async for frame in opened.frames(**options)]


async def assert_random_is_sequential(
    video: bytes | Path, *, samples: int = 24, **options: Any
) -> list[NDArray[Any]]:
    """Frames in any order, and single ones, are those of a sequence, bit for bit."""
    sequence = await images(video, **options)
    asked = random.Random(7).sample(range(len(sequence)), min(samples, len(sequence)))
    async with af.open_video(video) as opened:
        found = [frame async for frame in opened.frames(indices=asked, **options)]
        found += [await opened.frame(index, **options) for index in asked[:4]]
    for frame in found:
        assert np.array_equal(frame.image, sequence[frame.index]), frame.index
    assert [frame.index for frame in found] == asked + asked[:4]
    return sequence


# Sizes


@given(
    width=st.integers(1, 5000),
    height=st.integers(1, 5000),
    shape=st.fractions(Fraction(1, 4), Fraction(4)),
    asked=st.one_of(
        st.tuples(st.none(), st.integers(1, 5000)),
        st.tuples(st.integers(1, 5000), st.none()),
        st.tuples(st.integers(1, 5000), st.integers(1, 5000)),
    ),
)
def test_sizes(width: int, height: int, shape: Fraction, asked: tuple[int | None, int | None]) -> None:
    """A length that is asked for is given, one that is not keeps the aspect to half a pixel, at least one."""
    got = Rendering(resize=asked, square_pixels=True).size_of(width, height, shape)
    assert all(want in {None, length} for want, length in zip(asked, got, strict=True))
    aspect = width * shape / height
    if asked[0] is None:
        assert abs(got[0] - got[1] * aspect) <= Fraction(1, 2) or got[0] == 1
    if asked[1] is None:
        assert abs(got[1] - got[0] / aspect) <= Fraction(1, 2) or got[1] == 1
    assert Rendering().size_of(width, height, shape) == (width, height)
    assert Rendering(square_pixels=True).size_of(width, height, Fraction(1)) == (width, height)


@pytest.mark.anyio
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("image_format", ["rgb24", "gray", "rgba", "rgb48"])
async def test_resize_means_the_upright_size(rotation: int, image_format: Any) -> None:
    """Width and height are those that the viewer sees, and the picture in them is upright."""
    clip = clip_bytes(frames=3, rotation=rotation)
    async with af.open_video(clip) as video:
        for asked, size in (((200, 100), (200, 100)), ((48, None), None), ((None, 48), None)):
            frame = await video.frame(2, resize=asked, image_format=image_format)
            aspect = video.info.width / video.info.height
            width, height = size or ((48, round(48 / aspect)) if asked[0] else (round(48 * aspect), 48))
            assert frame.image.shape[:2] == (height, width)
            image = frame.image // 257 if frame.image.dtype == np.uint16 else frame.image
            assert painted_index(np.rot90(image, -rotation // 90)) == 2
            assert frame.image.flags.c_contiguous


@pytest.mark.anyio
@pytest.mark.parametrize("rotation", [0, 90])
async def test_square_pixels(rotation: int) -> None:
    """Pixels twice as wide as high as stored make the stored width twice as long, turned or not."""
    clip = clip_bytes(frames=3, rotation=rotation, options={"x264-params": "sar=2/1:keyint=12"})
    async with af.open_video(clip) as video:
        assert video.info.sample_aspect_ratio == 2
        plain = await video.frame(1)
        square = await video.frame(1, square_pixels=True)
        small = await video.frame(1, square_pixels=True, resize=(None, 32))
    assert plain.image.shape[:2] == ((64, 96) if rotation == 0 else (96, 64))
    assert square.image.shape[:2] == ((64, 192) if rotation == 0 else (192, 64))
    assert small.image.shape[:2] == ((32, 96) if rotation == 0 else (32, 11))
    assert painted_index(np.rot90(square.image, -rotation // 90)) == 1


@pytest.mark.anyio
async def test_orientation_is_left_alone_when_asked() -> None:
    """Without `autorotate` the picture is as it is stored."""
    clip = clip_bytes(frames=3, rotation=90, mirrored=True)
    stored = await images(clip, autorotate=False)
    assert [painted_index(image) for image in stored] == [0, 1, 2]
    assert stored[0].shape == (64, 96, 3)
    assert (await images(clip))[0].shape == (96, 64, 3)


@pytest.mark.anyio
async def test_size_changes_in_mid_stream() -> None:
    """Each frame has its own size; `resize` makes them alike; both also out of order."""
    parts = [
        clip_bytes(frames=24, container="h264", width=width, height=height, pixel_format=layout)
        for width, height, layout in ((96, 64, "yuv420p"), (128, 96, "yuv420p"), (128, 96, "yuv444p"))
    ]
    sequence = await assert_random_is_sequential(b"".join(parts))
    assert [image.shape[:2] for image in sequence] == [(64, 96)] * 24 + [(96, 128)] * 48
    assert [painted_index(image) for image in sequence] == list(range(24)) * 3
    resized = await assert_random_is_sequential(b"".join(parts), resize=(112, 80), deinterlace=True)
    assert {image.shape for image in resized} == {(80, 112, 3)}
    assert [painted_index(image) for image in resized] == list(range(24)) * 3


# Fields


def filtered_in_one_go(clip: bytes) -> list[NDArray[Any]]:
    """Send a whole clip through one filter, from the first picture to the last."""
    out: list[NDArray[Any]] = []
    with av.open(io.BytesIO(clip), "r") as container:
        stream = container.streams.video[0]
        graph = Graph()
        chain = [
            graph.add_buffer(template=stream, time_base=stream.time_base),
            graph.add("bwdif", mode="send_frame", deint="interlaced"),
            graph.add("buffersink"),
        ]
        graph.link_nodes(*chain).configure()
        for frame in [*container.decode(stream), None]:
            graph.vpush(frame)
            while True:
                try:
                    out.append(graph.vpull().to_ndarray(format="rgb24", interpolation="BICUBIC"))
                except (av.BlockingIOError, av.EOFError):
                    break
    return out


@pytest.mark.anyio
async def test_deinterlaced_frames_are_those_of_the_filter_over_the_whole_stream() -> None:
    """One frame out for each one in, also the first and the last, whatever order they are asked for in."""
    clip = clip_bytes(**INTERLACED)
    async with af.open_video(clip) as video:
        assert video.info.is_interlaced
        assert await video.count() == 40
    sequence = await assert_random_is_sequential(clip, samples=40, deinterlace=True)
    whole = filtered_in_one_go(clip)
    assert len(sequence) == len(whole) == 40
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(sequence, whole, strict=True))
    plain = await images(clip)
    assert sum(not np.array_equal(one, other) for one, other in zip(sequence, plain, strict=True)) > 30
    assert [painted_index(image) for image in sequence] == list(range(40))


@pytest.mark.anyio
async def test_ranges_and_single_frames_are_deinterlaced_alike() -> None:
    """A range that ends before the last frame, and each edge of the stream, need their neighbours too."""
    clip = clip_bytes(**INTERLACED)
    sequence = await images(clip, deinterlace=True)
    for bounds in ((0, 0), (0, 5), (11, 13), (37, 39)):
        async with af.open_video(clip) as video:
            part = [frame async for frame in video.frames(*bounds, deinterlace=True)]
        assert [frame.index for frame in part] == list(range(bounds[0], bounds[1] + 1))
        assert all(np.array_equal(frame.image, sequence[frame.index]) for frame in part)
    async with af.open_video(clip) as video:
        for index in (39, 0, 12, 24):
            assert np.array_equal((await video.frame(index, deinterlace=True)).image, sequence[index])


@pytest.mark.anyio
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"codec": "gif", "container": "gif", "pixel_format": "bgr8"},
        {"codec": "mpeg4", "container": "avi"},
        {"width": 2, "height": 2, "codec": "ffv1", "container": "matroska", "options": {"slices": "1"}},
    ],
    ids=["h264", "gif", "avi", "tiny"],
)
async def test_progressive_frames_stay_as_they_are(options: dict[str, Any]) -> None:
    """Frames that are not marked as interlaced are not touched, whatever their layout and size."""
    clip = clip_bytes(frames=15, **options)
    plain = await images(clip)
    assert len(plain) == 15
    left_alone = await assert_random_is_sequential(clip, deinterlace=True)
    assert all(np.array_equal(one, other) for one, other in zip(left_alone, plain, strict=True))


# HDR


def signal_of(nits: float) -> float:
    """ST 2084: the PQ signal of a luminance."""
    power = (nits / 10000) ** (2610 / 16384)
    return float(((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32))


@pytest.mark.anyio
@pytest.mark.parametrize(("transfer", "hdr"), [(1, None), (14, None), (16, "pq"), (18, "hlg")])
async def test_hdr_is_flagged(transfer: int, hdr: str | None) -> None:
    """PQ and HLG are told by the transfer, and nothing else is."""
    patches = Patches(layout="yuv420p10le", space="bt2020", transfer=transfer, primaries=9)
    async with af.open_video(patches.clip()) as video:
        assert video.info.hdr == hdr
        plain = (await video.frame(0)).image
        assert np.abs(middles(plain) - patches.expected() * 255).max() <= 0.52
        if hdr is None:
            assert np.array_equal((await video.frame(0, tone_map=True)).image, plain)


@pytest.mark.anyio
@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("transfer", [16, 18])
async def test_tones_are_mapped_in_order(transfer: int) -> None:
    """Grays stay gray and in order, black stays black, the peak becomes white, and the middle is brighter."""
    patches = Patches(layout="yuv444p10le", space="bt2020", transfer=transfer, primaries=9)
    async with af.open_video(patches.clip()) as video:
        mapped = (await video.frame(0, tone_map=True)).image
        again = (await video.frame(0, tone_map=True)).image
    assert np.array_equal(mapped, again)
    grays = middles(mapped)[8:16]
    assert np.abs(grays - grays.mean(axis=1, keepdims=True)).max() <= 1
    assert np.all(np.diff(grays.mean(axis=1)) > 0)
    assert grays[0].max() <= 1
    assert grays[-1].min() >= 252
    # Each patch stays flat: nothing of its colour leaks in from intermediate steps.
    blocks = mapped.reshape(8, 16, 8, 16, 3)[:, 4:12, :, 4:12]
    assert np.ptp(blocks.astype(np.int16), axis=(1, 3)).max() <= 1


@pytest.mark.anyio
@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_tone_mapped_frames_are_the_same_however_they_are_reached() -> None:
    """Real HDR, by index and in sequence."""
    path = corpus_file("bear-640x360-hevc-hdr10.mp4")
    mapped = await assert_random_is_sequential(path, samples=6, tone_map=True, resize=(160, None))
    plain = await images(path, resize=(160, None))
    assert not np.array_equal(mapped[0], plain[0])


@pytest.mark.in_threads
@pytest.mark.anyio
async def test_without_the_filter_tone_mapping_is_a_named_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A build of FFmpeg that cannot do it says so, and frames without it still come."""
    monkeypatch.setitem(_tone.SCALE, "intent", "no such intent")
    patches = Patches(layout="yuv420p10le", space="bt2020", transfer=16, primaries=9)
    async with af.open_video(patches.clip()) as video:
        with pytest.raises(UnsupportedMediaError, match="tone_map=True needs"):
            await video.frame(0, tone_map=True)
        assert (await video.frame(0)).image.shape == (128, 128, 3)


# Opacity


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("name", "has_alpha"),
    [
        ("bear-vp8a.webm", True),
        ("transparent.webm", True),
        ("iss634.apng", True),
        ("dispose_prev.gif", True),
        ("bear.h264", False),
    ],
)
async def test_real_files_keep_their_opacity(name: str, has_alpha: bool) -> None:
    """`rgba` has the file's own opacity, `rgb24` the same colours without; by index as in sequence."""
    path = corpus_file(name)
    async with af.open_video(path) as video:
        assert video.info.has_alpha == has_alpha
    sequence = await assert_random_is_sequential(path, samples=12, image_format="rgba")
    colours = await images(path)
    assert all(np.array_equal(one[..., :3], other) for one, other in zip(sequence, colours, strict=True))
    if name.endswith(".webm"):
        assert min(image[..., 3].min() for image in sequence) <= 128
    if not has_alpha:
        assert all((image[..., 3] == 255).all() for image in sequence)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("codec", "container", "layout"),
    [("prores_ks", "mov", "yuva444p10le"), ("ffv1", "matroska", "yuva420p"), ("apng", "apng", "rgba")],
)
async def test_opacity_in_the_pictures_is_kept(codec: str, container: str, layout: str) -> None:
    """Where the pixel format holds opacity, `rgba` shows it and other formats leave it out."""
    alpha = np.tile(np.linspace(0, 255, 96).astype(np.uint8), (64, 1))
    frame = av.VideoFrame.from_ndarray(np.dstack([paint(3, 96, 64), alpha]), "rgba")
    # Two frames, as an APNG of one is a plain PNG.
    clip = lossless([frame.reformat(format=layout) for _ in range(2)], codec=codec, container=container)
    image, _ = await images(clip, image_format="rgba")
    assert np.abs(image[..., 3].astype(int) - alpha).max() <= 1
    assert painted_index(image) == painted_index((await images(clip))[0]) == 3
    half, _ = await images(clip, image_format="rgba", resize=(48, None))
    assert np.abs(half[8:-8, 2:-2, 3].astype(int) - alpha[0, 4:-4:2]).max() <= 3


def alpha_clip(codec: str, *, gop: int = 12, alpha_gop: int = 12, damaged: int | None = None) -> bytes:
    """Show the index in colour and in opacity, each with keyframes of its own."""
    opacity = [
        packet.get_sidedata("matroska_block_additional") for packet in _alpha_packets(codec, alpha_gop)
    ]
    if damaged is not None:
        opacity[damaged].update(bytes(opacity[damaged])[:8].ljust(opacity[damaged].data_size, b"\xff"))
    file = io.BytesIO()
    _alpha_packets(codec, gop, opacity, file)
    return file.getvalue()


def _alpha_packets(
    codec: str, gop: int, opacity: Sequence[PacketSideData] = (), file: io.BytesIO | None = None
) -> list[av.Packet[Any]]:
    """Encode 40 frames, and write them with the opacity of others."""
    options = {"g": str(gop), "keyint_min": str(gop), "auto-alt-ref": "0", "lag-in-frames": "0"}
    options |= {"deadline": "realtime", "cpu-used": "8", "b": "2M"}
    with av.open(file or io.BytesIO(), "w", format="webm") as writer:
        stream = writer.add_stream(codec, rate=25, options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuva420p"
        packets: list[av.Packet[Any]] = []
        for index in range(40):
            image = paint(index, 96, 64)
            frame = av.VideoFrame.from_ndarray(np.dstack([image, image[..., 0]]), "rgba")
            frame = frame.reformat(format="yuva420p")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            packets += stream.encode(frame)
        packets += stream.encode()
        for packet, part in zip(packets, opacity, strict=False):
            part.to_packet(packet)
            writer.mux(packet)
        return packets


@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
async def test_opacity_beside_the_pictures_is_theirs(codec: str) -> None:
    """Each frame has its own opacity, whether the request before wanted any or not."""
    clip = alpha_clip(codec)
    sequence = await assert_random_is_sequential(clip, image_format="rgba", samples=40)
    assert [painted_index(image[..., 3]) for image in sequence] == list(range(40))
    assert [painted_index(image) for image in sequence] == list(range(40))
    async with af.open_video(clip) as video:
        orders: list[tuple[int, ImageFormat]] = [(20, "rgb24"), (30, "rgba"), (31, "rgb24"), (0, "rgba")]
        for index, image_format in [*orders, *orders]:
            image = (await video.frame(index, image_format=image_format)).image
            assert np.array_equal(image, sequence[index][..., : image.shape[2]])
        turned = (await video.frame(7, image_format="rgba", resize=(192, 128))).image
    assert turned.shape == (128, 192, 4)
    assert painted_index(turned[..., 3]) == 7


@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
async def test_opacity_with_keyframes_of_its_own(codec: str) -> None:
    """Decoding begins where both decode alone, though only the colours' keyframes are in the index."""
    clip = alpha_clip(codec, gop=5, alpha_gop=17)
    sequence = await assert_random_is_sequential(clip, image_format="rgba", samples=40)
    assert [painted_index(image[..., 3]) for image in sequence] == list(range(40))


@pytest.mark.anyio
async def test_damaged_opacity_is_damage() -> None:
    """Lost opacity raises with the frame's index, is left out, or is kept as opaque and marked."""
    clip = alpha_clip("libvpx-vp9", damaged=15)
    async with af.open_video(clip) as video:
        with pytest.raises(CorruptMediaError, match="alpha") as caught:
            await video.frame(15, image_format="rgba")
        assert caught.value.index == 15
        assert (await video.frame(15)).image.shape == (64, 96, 3)
    async with af.open_video(clip, on_corrupt="keep") as video:
        frames = [frame async for frame in video.frames(12, 16, image_format="rgba")]
    assert [frame.is_corrupt for frame in frames][:4] == [False, False, False, True]
    assert (frames[3].image[..., 3] == 255).all()
    async with af.open_video(clip, on_corrupt="skip") as video:
        assert 15 not in [frame.index async for frame in video.frames(image_format="rgba")]
