"""Pixels against the formulae of ITU-R BT.601, 709 and 2020, and against the ffmpeg program."""

from __future__ import annotations

import inspect
import itertools
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from numpy.typing import NDArray

import asyncframes as af
from asyncframes import PictureOptions
from asyncframes._media.image.convert import Converter
from asyncframes._model.color import matrix_of
from asyncframes._model.rendering import Rendering, make_rendering
from asyncframes.errors import UnsupportedMediaError
from tests.support.exact.corpus import CORPUS
from tests.support.marks import grid
from tests.support.streams.patches import RED_AND_BLUE, Patches, lossless, middles

LAYOUTS = [
    "yuv420p", "yuv422p", "yuv444p", "yuv410p", "yuv411p", "yuv440p", "yuva420p",
    "yuv420p10le", "yuv422p10le", "yuv444p10le", "yuv420p12le", "yuv444p12le",
    "gray", "gray10le", "gray12le",
]  # fmt: skip
FAST_LAYOUTS = {"yuv420p", "yuv422p", "yuva420p"}
MATRICES = ["bt601", "bt709", "bt2020"]

# Levels of 255: half a one is the rounding. swscale's special converters for 8-bit 4:2:0 and 4:2:2 compute in
# 16 bits, and it divides full range of more than 8 bits by 4 or 16 where (2**n - 1) / 255 would be right.
ROUNDING, FAST, DEEP_FULL_RANGE = 0.52, 3.0, 1.4

# Levels of 65535.
DEEP = 5.0

# The flags under which ours are ffmpeg's pixels: its own default where we use swscale's special converters.
ACCURATE_FLAGS = "bicubic+accurate_rnd+full_chroma_int+full_chroma_inp+bitexact"


RANGES = (["limited", "full"], MATRICES)


def is_representative(range_: str, matrix: str, layout: str) -> bool:
    """Each layout in one range and matrix, and one layout in each range and matrix."""
    return layout == "yuv420p" or (range_, matrix) == ("limited", MATRICES[LAYOUTS.index(layout) % 3])


async def first_frame(video: bytes | Path, **options: Any) -> NDArray[Any]:
    async with af.open_video(video) as opened:
        return (await opened.frame(0, **options)).image


def error(image: NDArray[Any], expected: NDArray[np.float64]) -> float:
    white = 65535 if image.dtype == np.uint16 else 255
    return float(np.abs(middles(image) - expected * white).max())


def bits_of(layout: str) -> int:
    return av.VideoFormat(layout, 16, 16).components[0].bits


@pytest.mark.anyio
@pytest.mark.parametrize(("range_", "matrix", "layout"), grid(*RANGES, LAYOUTS, fast=is_representative))
async def test_colours_are_those_of_the_recommendations(layout: str, matrix: str, range_: str) -> None:
    """A flat patch is the RGB that matrix, range and depth make of its values, to the rounding of swscale."""
    patches = Patches(layout=layout, space=matrix, range_=range_)
    accurate = DEEP_FULL_RANGE if range_ == "full" and bits_of(layout) > 8 else ROUNDING
    expected = patches.expected()
    by_default = await first_frame(patches.clip())
    assert error(by_default, expected) <= (FAST if layout in FAST_LAYOUTS else accurate)
    assert error(await first_frame(patches.clip(), accurate_color=True), expected) <= accurate
    assert error(await first_frame(patches.clip(), image_format="bgr24"), expected[:, ::-1]) <= max(
        accurate, FAST
    )
    deep = await first_frame(patches.clip(), image_format="rgb48")
    assert deep.dtype == np.uint16
    assert error(deep, expected) <= DEEP


@pytest.mark.anyio
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("range_", ["limited", "full"])
async def test_gray_is_luma_in_full_range(layout: str, range_: str) -> None:
    """Black is 0 and white 255 or 65535, and luma is taken as it is stored, whatever the matrix."""
    patches = Patches(layout=layout, space="bt709", range_=range_)
    red, blue = RED_AND_BLUE["bt709"]
    luma = patches.expected() @ [red, 1 - red - blue, blue]
    # A colour that is clipped as RGB has a luma of its own.
    inside = slice(16, None)
    for image_format, most in (("gray", 1.6), ("gray16", 70)):
        image = await first_frame(patches.clip(), image_format=image_format)
        assert image.ndim == 2
        white = 65535 if image_format == "gray16" else 255
        assert np.abs(middles(image) - luma * white)[inside].max() <= most
        assert (image.min(), image.max()) == (0, white)


@pytest.mark.anyio
async def test_what_is_untagged_is_converted_as_players_do() -> None:
    """Untagged YUV is BT.709 when HD, else BT.601, and limited; untagged gray is full range, as in FFmpeg."""
    for size, matrix in (((128, 128), "bt601"), ((1024, 576), "bt601"), ((1280, 720), "bt709")):
        patches = Patches(
            space="untagged",
            range_="untagged",
            coded_space=matrix,
            coded_range="limited",
            width=size[0],
            height=size[1],
        )
        async with af.open_video(patches.clip()) as video:
            assert (video.info.color_matrix, video.info.color_range) == (matrix, "unspecified")
            assert error((await video.frame(0)).image, patches.expected()) <= FAST
    gray = Patches(layout="gray", range_="untagged", coded_range="full")
    assert error(await first_frame(gray.clip()), gray.expected()) <= ROUNDING


@pytest.mark.parametrize(
    ("tags", "size", "matrix"),
    [
        ((2, 2, 2), (1279, 576), "bt601"),
        ((2, 2, 2), (1280, 544), "bt709"),
        ((2, 2, 2), (720, 577), "bt709"),
        ((3, 2, 2), (64, 64), "bt601"),
        ((0, 2, 2), (1920, 1080), "bt709"),
        ((2, 1, 1), (64, 64), "bt709"),
        ((2, 6, 6), (1920, 1080), "bt601"),
        ((2, 9, 14), (64, 64), "bt2020"),
        ((2, 2, 16), (64, 64), "bt2020"),
        ((2, 2, 18), (64, 64), "bt2020"),
        ((5, 1, 1), (1920, 1080), "bt601"),
        ((8, 1, 1), (64, 64), "unsupported"),
        ((10, 9, 14), (64, 64), "unsupported"),
    ],
)
def test_matrix_of_tags(tags: tuple[int, int, int], size: tuple[int, int], matrix: str) -> None:
    """The matrix itself goes before the primaries and the transfer, and these before the size."""
    assert matrix_of(*tags, width=size[0], height=size[1]) == matrix


@pytest.mark.anyio
async def test_another_matrix_may_be_asked_for() -> None:
    """`color_matrix` stands in for the tag of a file that is tagged wrongly."""
    patches = Patches(space="bt709", coded_space="bt601")
    image = await first_frame(patches.clip(), color_matrix="bt601", accurate_color=True)
    assert error(image, patches.expected()) <= ROUNDING


@pytest.mark.anyio
async def test_a_matrix_that_nothing_converts_is_a_named_error() -> None:
    """YCgCo is refused and not taken for something else, unless that is asked for."""
    frame = av.VideoFrame(64, 64, "yuv444p")
    frame.colorspace = 8
    clip = lossless([frame])
    async with af.open_video(clip) as video:
        assert video.info.color_matrix == "unsupported"
        with pytest.raises(UnsupportedMediaError, match="colour matrix 8"):
            await video.frame(0)
        assert (await video.frame(0, color_matrix="bt709")).image.shape == (64, 64, 3)


# Against the ffmpeg program


def textured(layout: str, matrix: str, range_: str, width: int, height: int) -> bytes:
    """Waves with sharp edges, also between colours that luma does not tell apart."""
    rows, columns = np.mgrid[0:height, 0:width]
    waves = [127 + 120 * np.sin((rows + columns * part) / (7 - part)) for part in range(3)]
    image = np.stack(waves, axis=-1).astype(np.uint8)
    image[(rows // 9 + columns // 11) % 3 == 0] = (255, 0, 0)
    image[(rows // 9 + columns // 11) % 3 == 1, 2] //= 3
    frame = av.VideoFrame.from_ndarray(image, "rgb24").reformat(format=layout)
    tags = {"bt601": 6, "bt709": 1, "bt2020": 9}
    frame.colorspace, frame.color_range = tags[matrix], {"limited": 1, "full": 2}[range_]
    return lossless([frame])


def by_ffmpeg(
    ffmpeg: str, path: Path, shape: tuple[int, ...], *, scale: str = "", layout: str = "rgb24"
) -> NDArray[Any]:
    command = [ffmpeg, "-v", "error", "-noautorotate", "-i", str(path), "-map", "0:V:0", "-frames:v", "1"]
    command += [*(("-vf", f"scale={scale}") if scale else ()), "-pix_fmt", layout, "-f", "rawvideo", "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(shape)


def most_apart(one: NDArray[Any], other: NDArray[Any]) -> int:
    return int(np.abs(one.astype(np.int32) - other).max())


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("range_", "matrix", "layout"),
    grid(*RANGES, [layout for layout in LAYOUTS if not layout.startswith("gray")], fast=is_representative),
)
async def test_pixels_are_those_of_ffmpeg(
    layout: str, matrix: str, range_: str, tmp_path: Path, ffmpeg: str
) -> None:
    """Every pixel, at colour edges as well, is within a level of ffmpeg's under the same flags."""
    path = tmp_path / "textured.mkv"
    path.write_bytes(textured(layout, matrix, range_, 132, 74))
    image = await first_frame(path)
    flags = "" if layout in FAST_LAYOUTS else f"flags={ACCURATE_FLAGS}"
    assert most_apart(image, by_ffmpeg(ffmpeg, path, image.shape, scale=flags)) <= 1
    accurate = await first_frame(path, accurate_color=True)
    theirs = by_ffmpeg(ffmpeg, path, image.shape, scale=f"flags={ACCURATE_FLAGS}")
    assert most_apart(accurate, theirs) <= 1


@pytest.mark.anyio
@pytest.mark.parametrize("layout", ["yuv420p", "yuv444p", "yuv420p10le", "bgr0"])
@pytest.mark.parametrize("size", [(66, 37), (201, 149), (64, 64)])
async def test_resized_pixels_are_those_of_ffmpeg(
    layout: str, size: tuple[int, int], tmp_path: Path, ffmpeg: str
) -> None:
    """Resizing is ffmpeg's bicubic, up, down and out of shape."""
    path = tmp_path / "textured.mkv"
    path.write_bytes(textured(layout, "bt709", "limited", 132, 74))
    image = await first_frame(path, resize=size)
    assert image.shape == (size[1], size[0], 3)
    scale = f"{size[0]}:{size[1]}:flags={ACCURATE_FLAGS}"
    assert most_apart(image, by_ffmpeg(ffmpeg, path, image.shape, scale=scale)) <= 1


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("width", "height"),
    grid(
        [1, 2, 3, 7, 33], [1, 2, 3, 7, 33], fast=lambda width, height: (width + height) % 3 == 0 or width == 1
    ),
)
async def test_odd_sizes_are_those_of_ffmpeg(width: int, height: int, tmp_path: Path, ffmpeg: str) -> None:
    """No row or column is lost or made up where chroma has half a sample."""
    path = tmp_path / "odd.mkv"
    path.write_bytes(textured("yuv420p", "bt709", "limited", width, height))
    image = await first_frame(path)
    if height % 2 == 0:
        theirs = by_ffmpeg(ffmpeg, path, image.shape)
    else:
        # As planes: FFmpeg 5 writes some rows of packed pixels wrongly where there are four rows of chroma.
        green_blue_red = by_ffmpeg(
            ffmpeg, path, (3, height, width), scale=f"flags={ACCURATE_FLAGS}", layout="gbrp"
        )
        theirs = np.moveaxis(green_blue_red[[2, 0, 1]], 0, -1)
    assert most_apart(image, theirs) <= 1


# Chroma lies to the left of luma in H.264 and HEVC and above it where tagged so. FFmpeg 5 needs to be told,
# the bundled one reads it from the stream; that alone was up to 54 levels at colour edges.
LEFT, TOP_LEFT = "in_h_chr_pos=0:in_v_chr_pos=128", "in_h_chr_pos=0:in_v_chr_pos=0"
CORPUS_FILES = {
    "bt601.mov": LEFT,
    "awesome movie.mov": TOP_LEFT,
    "bbb_avc_2b_firstpts_10_sec.mp4": f"{LEFT}:in_color_matrix=bt709",
    "bulk-water.mov": LEFT,
    "h265_with_metadata_track.mp4": LEFT,
    "bear-640x360-hevc-hdr10.mp4": LEFT,
    "rotated_hdr_video.mov": LEFT,
    "sample_with_colr_mdcv_and_clli.mp4": "",
    "test-139.ts": "in_color_matrix=bt709",
    "test.prores.mov": "",
    "iibbibb_editlist_videoonly.mp4": "",
    "bear-vp9-odd-dimensions.webm": "",
    "cars_128x96.mjpeg": "",
    "iss634.gif": "",
    "iss634.apng": "",
    "bear-vp8a.webm": "",
    "transparent.webm": "",
}
LIKE_OTHERS = {
    "bulk-water.mov",
    "h265_with_metadata_track.mp4",
    "rotated_hdr_video.mov",
    "test-139.ts",
    "bear-vp8a.webm",
}


@pytest.mark.anyio
@pytest.mark.parametrize("name", grid(CORPUS_FILES, fast=lambda name: name not in LIKE_OTHERS))
async def test_real_files_have_the_pixels_of_ffmpeg(name: str, ffmpeg: str) -> None:
    """Real files of many kinds are within a level, once ffmpeg is told where their chroma lies."""
    path = CORPUS / name
    if not path.exists():
        pytest.skip("the corpus of real files (../shared/corpus) is not beside this checkout")
    image = await first_frame(path, accurate_color=True, autorotate=False)
    scale = ":".join(part for part in (CORPUS_FILES[name], f"flags={ACCURATE_FLAGS}") if part)
    assert most_apart(image, by_ffmpeg(ffmpeg, path, image.shape, scale=scale)) <= 1


@pytest.mark.anyio
@pytest.mark.parametrize("image_format", ["rgb24", "rgba", "gray", "rgb48", "gray16"])
async def test_palettes_become_their_colours(image_format: Any) -> None:
    """A picture of palette indices shows the palette, with its alpha where that is asked for."""
    palette = np.zeros((256, 4), np.uint8)
    palette[:4] = [[255, 255, 0, 0], [255, 0, 255, 0], [128, 0, 0, 255], [0, 255, 255, 255]]
    indices = np.random.default_rng(0).integers(0, 4, (24, 40), np.uint8)
    frame = av.VideoFrame.from_ndarray((indices, palette), format="pal8")  # type: ignore[arg-type]  # index and palette
    image = await first_frame(lossless([frame], codec="png", container="mov"), image_format=image_format)
    alpha, colours = palette[indices][..., 0], palette[indices][..., 1:]
    if image_format == "rgb24":
        assert np.array_equal(image, colours)
    elif image_format == "rgba":
        assert np.array_equal(image, np.dstack([colours, alpha]))
    elif image_format == "rgb48":
        assert most_apart(image, colours.astype(np.int32) * 257) <= DEEP
    else:
        scale = 257 if image_format == "gray16" else 1
        luma = colours @ [0.299, 0.587, 0.114] * scale
        assert np.abs(image - luma).max() <= 1.5 * scale


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"resize": (0, 4)}, "resize"),
        ({"resize": (None, None)}, "resize"),
        ({"resize": (1, 2, 3)}, "resize"),
        ({"color_matrix": "bt1"}, "color_matrix"),
        ({"image_format": "yuv"}, "image_format"),
    ],
)
def test_nonsense_is_refused(options: dict[str, Any], told: str) -> None:
    """An invalid option is a ValueError that names it, before anything is opened."""
    with pytest.raises(ValueError, match=told):
        af.stream_frames("nowhere.mp4", **options)


def test_unknown_options_are_type_errors() -> None:
    """A misspelt option is not ignored."""
    with pytest.raises(TypeError, match="rotate"):
        af.stream_frames("nowhere.mp4", rotate=True)  # type: ignore[call-arg]  # which is the point


def test_options_are_all_documented() -> None:
    """Every key of `PictureOptions` stands in its docstring."""
    documented = (inspect.getdoc(PictureOptions) or "").splitlines()
    assert set(PictureOptions.__annotations__) <= set(documented)


@pytest.mark.parametrize("layout", ["yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuva420p", "nv12", "rgb24"])
def test_every_column_of_rgba_is_written(layout: str) -> None:
    """At every width: the colours of rgb24, and the opacity. swscale leaves some columns as memory was."""
    noise = np.random.default_rng(0)
    for width, height in itertools.product(range(2, 70), (2, 18)):
        picture = VideoFrame(width, height, layout)
        for place, plane in enumerate(picture.planes):
            # Chroma is even: converters that interpolate it and others then agree.
            least, most = (100, 101) if place in (1, 2) else (1, 255)
            plane.update(noise.integers(least, most, plane.buffer_size, np.uint8).tobytes())
        rgba, rgb = (
            Converter(Rendering(image_format=kind, color_matrix="bt601"), Fraction(1), "noise")(picture)
            for kind in _WITH_AND_WITHOUT_OPACITY
        )
        assert np.abs(rgba[..., :3].astype(int) - rgb).max() <= FAST, width
        opacity = _lines(picture.planes[3]) if layout == "yuva420p" else 255
        assert np.all(rgba[..., 3] == opacity), width


_WITH_AND_WITHOUT_OPACITY: tuple[af.ImageFormat, ...] = ("rgba", "rgb24")


def _lines(plane: VideoPlane) -> NDArray[np.uint8]:
    lines = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    return lines[:, : plane.width]


@pytest.mark.parametrize("layout", ["bayer_rggb8", "bayer_grbg16le"])
def test_a_bayer_pattern_has_its_colours_in_every_format(layout: str) -> None:
    """In 16 bits too, though FFmpeg describes fewer than a sample has, and as planes."""
    picture = av.VideoFrame(16, 16, layout)
    dtype = np.dtype(np.uint8 if layout.endswith("8") else "<u2")
    pattern = np.array([[200, 90], [90, 30]] if layout.startswith("bayer_rggb") else [[90, 200], [30, 90]])
    samples = np.tile(pattern * (1 if dtype == np.uint8 else 257), (8, 8)).astype(dtype)
    lines = np.zeros((16, picture.planes[0].line_size // dtype.itemsize), dtype)
    lines[:, :16] = samples
    picture.planes[0].update(lines.tobytes())
    deep = Converter(make_rendering(image_format="rgb48"), Fraction(1), "")(picture)
    assert np.abs(deep[4:-4, 4:-4].astype(int) - np.multiply([200, 90, 30], 257)).max() <= 257
    for size in ((16, 16), (20, 24)):
        rendering = make_rendering(image_format="i420", resize=size)
        luma = Converter(rendering, Fraction(1), "")(picture)[4 : size[1] - 4, 4:-4]
        assert np.abs(luma - np.dot([200, 90, 30], [0.299, 0.587, 0.114])).max() <= 2
