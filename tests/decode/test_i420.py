"""Planes as JPEG stores them: right from every layout, and untouched where they are such already."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from av.video.frame import VideoFrame
from numpy.typing import NDArray
from PIL import Image as PillowImage

import asyncframes as af
from asyncframes.errors import UnsupportedMediaError
from asyncframes.writers import encode_i420, encode_jpeg, encoder_for
from tests.support.streams.clips import clip_bytes, painted_index
from tests.support.streams.patches import GRID, RANGES, RED_AND_BLUE, SPACES, Patches, lossless, middles

# swscale's conversions of other ranges and matrices, and the steps of 8 bits.
CONVERTED = 3.0


def planes(image: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    height, width = image.shape[0] * 2 // 3, image.shape[1]
    return [image[:height], *image[height:].reshape(2, height // 2, width // 2)]


def expected(patches: Patches) -> Iterator[NDArray[np.float64]]:
    """Yield Y, Cb and Cr of the patches by ITU-T T.871, from 0 to 255."""
    red, _, blue = (rgb := patches.expected()).T
    luma = rgb @ [0.299, 0.587, 0.114]
    yield luma * 255
    yield (blue - luma) / 1.772 * 255 + 128
    yield (red - luma) / 1.402 * 255 + 128


async def first(source: Any, **options: Any) -> NDArray[np.uint8]:
    async with af.open_video(source) as video:
        return (await video.frame(0, image_format="i420", **options)).image


@pytest.mark.anyio
@pytest.mark.parametrize("layout", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "gray"])
@pytest.mark.parametrize("space", [*RED_AND_BLUE])
@pytest.mark.parametrize("range_", ["limited", "full"])
async def test_every_layout_becomes_what_jpeg_stores(layout: str, space: str, range_: str) -> None:
    """Whatever the matrix, range and depth, Y, U and V are those of the colours."""
    patches = Patches(layout=layout, space=space, range_=range_)
    image = await first(patches.clip())
    assert image.shape == (GRID * 16 * 3 // 2, GRID * 16)
    assert image.flags.c_contiguous
    for plane, values in zip(planes(image), expected(patches), strict=True):
        assert np.abs(middles(plane) - values).max() <= CONVERTED


@pytest.mark.anyio
async def test_rgb_becomes_what_jpeg_stores() -> None:
    """Pictures that are stored as RGB have no planes of their own."""
    colours = np.random.default_rng(3).integers(0, 256, (8, 12, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    frame = VideoFrame.from_ndarray(colours, format="rgb24")
    luma, *_ = planes(await first(lossless([frame], codec="png", container="mov")))
    assert np.abs(luma - colours @ [0.299, 0.587, 0.114]).max() <= CONVERTED


def full_range_clip() -> tuple[bytes, list[NDArray[np.uint8]]]:
    """Store random planes losslessly, as BT.601 in full range."""
    random = np.random.default_rng(5)
    stored = [random.integers(0, 256, (side, side * 3 // 2), np.uint8) for side in (64, 32, 32)]
    frame = VideoFrame(96, 64, "yuv420p")
    for plane, values in zip(frame.planes, stored, strict=True):
        lines = np.zeros((values.shape[0], plane.line_size), np.uint8)
        lines[:, : values.shape[1]] = values
        plane.update(lines.tobytes())
    frame.colorspace, frame.color_range = SPACES["bt601"], RANGES["full"]
    return lossless([frame]), stored


@pytest.mark.anyio
async def test_such_planes_are_not_touched(tmp_path: Path) -> None:
    """Every sample of a file in full range and BT.601 comes out as it is stored, and goes into JPEG so."""
    data, stored = full_range_clip()
    image = await first(data)
    for plane, values in zip(planes(image), stored, strict=True):
        assert np.array_equal(plane, values)
    [path] = await af.stream_frames_to_dir(data, tmp_path, ext="jpg", quality=100)
    written = Path(path).read_bytes()
    assert written == encode_i420(image, quality=100)
    with PillowImage.open(io.BytesIO(written)) as picture:
        picture.draft("YCbCr", None)
        luma = np.asarray(picture)[..., 0]
    assert np.abs(luma.astype(int) - stored[0]).max() <= 2


@pytest.mark.anyio
@pytest.mark.parametrize(
    "patches",
    [
        Patches(space="bt601", range_="limited"),
        Patches(space="bt709", range_="full"),
        Patches(layout="yuv444p", space="bt601", range_="full"),
    ],
    ids=["limited", "BT.709", "4:4:4"],
)
async def test_others_go_into_jpeg_by_way_of_rgb(patches: Patches, tmp_path: Path) -> None:
    """Where samples have to be converted, files are those that the RGB image gives."""
    [path] = await af.stream_frames_to_dir(patches.clip(), tmp_path, ext="jpg")
    async with af.open_video(patches.clip()) as video:
        assert Path(path).read_bytes() == encode_jpeg((await video.frame(0)).image)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "options",
    [
        {"resize": (48, None)},
        {"crop": (8, 4, 40, 30)},
        {"resize": (40, 40), "fit": "cover"},
        {"max_side": 50},
        {"multiple_of": 28},
    ],
    ids=str,
)
async def test_an_option_of_the_picture_goes_by_way_of_rgb(tmp_path: Path, options: dict[str, Any]) -> None:
    """A resized or cropped JPEG is that of the image."""
    data, _ = full_range_clip()
    [path] = await af.stream_frames_to_dir(data, tmp_path, ext="jpg", **options)
    async with af.open_video(data) as video:
        assert Path(path).read_bytes() == encode_jpeg((await video.frame(0, **options)).image)


@pytest.mark.anyio
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
async def test_planes_are_upright(rotation: int) -> None:
    """Each is turned as the display matrix asks."""
    data = clip_bytes(frames=3, rotation=rotation)
    async with af.open_video(data) as video:
        width, height = video.info.width, video.info.height
        frame = await video.frame(2, image_format="i420")
        rgb = (await video.frame(2)).image
    luma, blue, _ = planes(frame.image)
    assert luma.shape == (height, width)
    by_jpeg = np.asarray(PillowImage.fromarray(rgb).convert("YCbCr"))[::2, ::2, 1]
    assert np.abs(by_jpeg.astype(int) - blue).mean() < 3
    if not rotation:
        assert painted_index(luma) == 2


@pytest.mark.anyio
async def test_what_cannot_be_is_refused() -> None:
    """Odd sides, files that hold no planes, and arrays that are none."""
    odd = Patches(width=129, height=128, layout="yuv444p").clip()
    with pytest.raises(UnsupportedMediaError, match="129x128"):
        await first(odd)
    assert (await first(odd, resize=(128, 128))).shape == (192, 128)
    with pytest.raises(ValueError, match="tone_map"):
        await first(odd, tone_map=True)
    with pytest.raises(ValueError, match="i420"):
        encoder_for("png", image_format="i420")
    with pytest.raises(ValueError, match="i420"):
        await af.stream_frames_to_dir(odd, "never", ext="webp", image_format="i420")
    for shape in ((10, 4), (12, 5), (12, 4, 3), (0, 4)):
        with pytest.raises(ValueError, match="i420"):
            encode_i420(np.zeros(shape, np.uint8))
    with pytest.raises(TypeError, match="uint8"):
        encode_i420(np.zeros((12, 4), np.uint16))
