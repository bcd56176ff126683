"""A stream and its options have one conversion, in every place of a request, and it is ffmpeg's."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.filter import Graph
from numpy.typing import NDArray

import asyncframes as af
from asyncframes._media.image import interlaced as _interlaced
from asyncframes.errors import UnsupportedMediaError
from tests.support.exact.corpus import CORPUS
from tests.support.marks import BOTH_ISOLATIONS, grid
from tests.support.streams.clips import clip_bytes
from tests.support.streams.patches import lossless

pytestmark = BOTH_ISOLATIONS

FRAMES = 5

# Widths in which lines of three bytes a pixel end where libavfilter's do, and others; one is odd.
# In the first, images of every kind are large enough to come by way of the filter.
SIZES = [(384, 172), (160, 86), (144, 86), (150, 86), (151, 86)]

FOUND = CORPUS.with_name("found")

# What decoders give, and a codec that keeps it.
LAYOUTS = {
    "yuv420p": "ffv1", "yuv422p": "ffv1", "yuv444p": "ffv1", "yuv440p": "ffv1", "yuv411p": "ffv1",
    "yuv410p": "ffv1", "yuvj420p": "mjpeg", "yuvj422p": "mjpeg", "yuvj444p": "mjpeg", "nv12": "rawvideo",
    "yuv420p10le": "ffv1", "yuv422p10le": "ffv1", "yuv444p10le": "ffv1", "yuv420p12le": "ffv1",
    "yuva420p": "ffv1", "yuva444p": "ffv1", "gray": "ffv1", "gray10le": "ffv1", "ya8": "png",
    "pal8": "png", "rgb24": "png", "bgr0": "ffv1", "bgra": "ffv1", "gbrp10le": "ffv1", "rgb48be": "png",
}  # fmt: skip
FAST_LAYOUTS = {"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuva420p"}
ACCURATE_FLAGS = "bicubic+accurate_rnd+full_chroma_int+full_chroma_inp+bitexact"

USUAL_OPTIONS: list[dict[str, Any]] = [
    {},
    {"image_format": "bgr24"},
    {"image_format": "gray"},
    {"accurate_color": True},
    {"resize": (192, 100)},
]
FURTHER_OPTIONS: list[dict[str, Any]] = [
    *({"image_format": kind} for kind in ("rgba", "rgb48", "gray16")),
    {"resize": (None, 60), "image_format": "gray"},
    {"resize": (384, 360), "accurate_color": True},
    {"resize": (192, 90), "image_format": "i420"},
    {"color_matrix": "bt2020"},
    {"square_pixels": True, "autorotate": False},
    {"deinterlace": True},
    {"deinterlace": True, "accurate_color": True},
]


def fields_apart(layout: str, size: tuple[int, int], *, is_interlaced: bool) -> list[av.VideoFrame]:
    """Make pictures whose fields differ as much as they can, in colour too, and mark them or not."""
    random = np.random.default_rng(size[0])
    graph = Graph()
    chain = [
        graph.add("buffer", video_size=f"{size[0]}x{size[1]}", pix_fmt=layout, time_base="1/25"),
        graph.add("setparams", field_mode="tff" if is_interlaced else "prog"),
        graph.add("buffersink"),
    ]
    graph.link_nodes(*chain).configure()
    frames = []
    for _ in range(FRAMES):
        blocks = random.integers(0, 256, (-(-size[1] // 10), -(-size[0] // 9), 3), np.uint8)
        rgb = blocks.repeat(10, axis=0).repeat(9, axis=1)[: size[1], : size[0]]
        rgb[1::2] = 255 - rgb[1::2]
        graph.vpush(_in_layout(rgb, layout))
        frames.append(graph.vpull())
    assert {frame.interlaced_frame for frame in frames} == {is_interlaced}
    return frames


def _in_layout(rgb: NDArray[np.uint8], layout: str) -> av.VideoFrame:
    if layout != "pal8":
        return av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(format=layout)
    palette = np.random.default_rng(0).integers(0, 256, (256, 4), np.uint8)
    return av.VideoFrame.from_ndarray((rgb[..., 0].copy(), palette), format="pal8")  # type: ignore[arg-type]  # index and palette


def clip_of(layout: str, size: tuple[int, int], *, is_interlaced: bool) -> bytes:
    frames = fields_apart(layout, size, is_interlaced=is_interlaced)
    container = "mov" if LAYOUTS[layout] == "png" else "matroska"
    return lossless(frames, codec=LAYOUTS[layout], container=container)


def assert_alike(video: af.sync.Video, **options: Any) -> list[NDArray[Any]]:
    """Every frame is the same as the first, in the middle and as the last of a request, and by itself."""
    every = [frame.image for frame in video.frames(**options)]
    assert len(every) == FRAMES
    for indices in ([0], [2], [4], [3, 1, 4]):
        for frame in video.frames(indices=indices, **options):
            assert np.array_equal(frame.image, every[frame.index]), (indices, frame.index, options)
    assert np.array_equal(video.frame(2, **options).image, every[2]), options
    return every


def _can_be(options: dict[str, Any], layout: str, *, is_interlaced: bool) -> bool:
    return "deinterlace" not in options or not is_interlaced or layout.startswith("yuv")


FIELDS = pytest.mark.parametrize("is_interlaced", [True, False], ids=["interlaced", "progressive"])

# One of each kind of layout; the others are repetitions.
REPRESENTATIVES = {
    ("yuv420p", True), ("yuvj422p", False), ("yuv422p10le", True), ("yuva420p", False), ("pal8", False),
    ("rgb24", True),
}  # fmt: skip

LAYOUTS_AND_FIELDS = pytest.mark.parametrize(
    ("layout", "is_interlaced"),
    grid(LAYOUTS, (True, False), fast=lambda *both: both in REPRESENTATIVES),
)


@LAYOUTS_AND_FIELDS
def test_a_frame_is_the_same_in_every_place(layout: str, is_interlaced: bool) -> None:
    """Whatever a picture's layout, fields and width, its place in a request changes no bit."""
    for size in SIZES:
        with af.sync.open_video(clip_of(layout, size, is_interlaced=is_interlaced)) as video:
            assert video.info.pixel_format == layout
            for options in USUAL_OPTIONS if size in (SIZES[0], SIZES[-1]) else USUAL_OPTIONS[:1]:
                assert_alike(video, **options)


@pytest.mark.slow
@FIELDS
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_frame_is_the_same_in_every_place_whatever_the_options(layout: str, is_interlaced: bool) -> None:
    """Nor does it under the options that are asked for less often."""
    for size in (SIZES[0], SIZES[-1]):
        with af.sync.open_video(clip_of(layout, size, is_interlaced=is_interlaced)) as video:
            for options in FURTHER_OPTIONS:
                if _can_be(options, layout, is_interlaced=is_interlaced):
                    assert_alike(video, **options)


# Against the ffmpeg program


def by_ffmpeg(ffmpeg: str, path: Path, images: list[NDArray[Any]], layout: str, *scale: str) -> NDArray[Any]:
    """Convert every frame with the program, to images like these."""
    command = [ffmpeg, "-v", "error", "-i", str(path), "-map", "0:v:0", "-vsync", "passthrough"]
    command += ["-vf", f"scale={':'.join(scale)}"] if scale else []
    command += ["-pix_fmt", layout, "-f", "rawvideo", "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(raw, images[0].dtype).reshape(-1, *images[0].shape)


def most_apart(ours: list[NDArray[Any]], theirs: NDArray[Any]) -> int:
    return int(np.abs(np.stack(ours).astype(np.int32) - theirs).max())


@pytest.mark.slow
@LAYOUTS_AND_FIELDS
def test_every_frame_has_the_pixels_of_ffmpeg(
    layout: str, is_interlaced: bool, tmp_path: Path, ffmpeg: str
) -> None:
    """Interlaced pictures are converted as the program does it: whole, not field by field."""
    path = tmp_path / "clip"
    flags = f"flags={ACCURATE_FLAGS}"
    kinds: list[tuple[dict[str, Any], tuple[str, ...]]] = [
        ({}, () if layout in FAST_LAYOUTS else (flags,)),
        ({"accurate_color": True}, (flags,)),
        ({"resize": (192, 100)}, ("192:100", flags)),
    ]
    for size in SIZES:
        path.write_bytes(clip_of(layout, size, is_interlaced=is_interlaced))
        with af.sync.open_video(path) as video:
            for options, scale in kinds if size == SIZES[0] else kinds[:1]:
                images = [frame.image for frame in video.frames(**options)]
                assert most_apart(images, by_ffmpeg(ffmpeg, path, images, "rgb24", *scale)) <= 1, options


@pytest.mark.parametrize(
    "options",
    [
        {"options": {"x264-params": "tff=1"}, "pixel_format": "yuv420p"},
        {"options": {"x264-params": "bff=1"}, "pixel_format": "yuv422p"},
        {"codec": "mpeg2video", "container": "mpegts", "options": {"flags": "+ildct+ilme"}, "b_frames": 0},
        {"codec": "dvvideo", "container": "avi", "width": 720, "height": 576, "b_frames": 0},
    ],
    ids=["h264", "h264-422", "mpeg2", "dv"],
)
@pytest.mark.parametrize("width", [384, 352, 338])
def test_fields_of_real_codecs_are_converted_as_ffmpeg_does(
    options: dict[str, Any], width: int, tmp_path: Path, ffmpeg: str
) -> None:
    """Frames are alike in every place, and the program's, where the codec says that they are interlaced."""
    path = tmp_path / "clip"
    path.write_bytes(clip_bytes(**{"frames": FRAMES, "width": width, "height": 176, **options}))
    with af.sync.open_video(path) as video:
        assert video.info.is_interlaced
        images = assert_alike(video)
    assert most_apart(images, by_ffmpeg(ffmpeg, path, images, "rgb24")) <= 1


@pytest.mark.slow
def test_a_real_interlaced_file_has_the_pixels_of_ffmpeg(ffmpeg: str) -> None:
    """1080i in MPEG-TS: by index, in sequence, and in the program."""
    path = FOUND / "ft_fixture-raw.mts"
    if not path.exists():
        pytest.skip("the folder of real files that failed (../shared/found) is not beside this checkout")
    with af.sync.open_video(path) as video:
        images = [frame.image for frame in video.frames(0, 4, color_matrix="bt601")]
        for index in (4, 0, 2):
            assert np.array_equal(video.frame(index, color_matrix="bt601").image, images[index])
    theirs = by_ffmpeg(ffmpeg, path, images, "rgb24")
    assert most_apart(images, theirs[: len(images)]) <= 1


@pytest.mark.in_threads
def test_without_the_filter_interlaced_pictures_are_a_named_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A build of FFmpeg that cannot take the mark off says so, and progressive frames still come."""
    monkeypatch.setattr(_interlaced, "_UNMARK", ("setparams", {"field_mode": "no such mode"}))
    for is_interlaced in (True, False):
        with af.sync.open_video(clip_of("yuv420p", SIZES[0], is_interlaced=is_interlaced)) as video:
            if is_interlaced:
                with pytest.raises(UnsupportedMediaError, match="interlaced pictures need"):
                    video.frame(0)
            else:
                assert_alike(video)
