"""Frames, batches and contact sheets as encoded files, and as pictures in a notebook."""

from __future__ import annotations

import pickle
from dataclasses import replace
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage

import asyncframes as af
from asyncframes.errors import FrameEncodeError, FrameIndexError
from tests.support.streams.clips import clip_bytes, painted_index

CLIP = clip_bytes(frames=24, gop=6)
MOST = 1_000_000


def decoded(data: bytes | None) -> af.Image:
    assert data is not None
    with PillowImage.open(BytesIO(data)) as image:
        image.load()
        return np.asarray(image)


def bare(image: af.Image, **facts: Any) -> af.Frame:
    return af.Frame(index=7, image=image, pts=None, time_base=Fraction(1, 25), **facts)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "options",
    [
        {"ext": "png"},
        {"ext": "png", "compression_level": 9},
        {"ext": "png", "image_format": "rgba"},
        {"ext": "png", "image_format": "gray"},
        {"ext": "png", "image_format": "rgb48"},
        {"ext": "png", "image_format": "gray16", "resize": (32, 20)},
        {"ext": "jpg"},
        {"ext": ".JPEG", "quality": 40},
        {"ext": "jpg", "image_format": "gray"},
        {"ext": "jpg", "image_format": "i420"},
        {"ext": "webp"},
        {"ext": "webp", "quality": 30, "image_format": "rgba"},
        {"ext": "bmp"},
        {"ext": "npy", "image_format": "i420"},
    ],
    ids=str,
)
@pytest.mark.parametrize("way", ["frames", "frame", "batch"])
async def test_a_frame_is_encoded_as_it_is_saved(tmp_path: Path, options: dict[str, Any], way: str) -> None:
    """Law: `encode` gives the bytes of the file that `save` writes, however the frame was decoded."""
    encoding = {name: options[name] for name in ("quality", "compression_level") if name in options}
    picture = {name: options[name] for name in ("image_format", "resize") if name in options}
    async with af.open_video(CLIP) as video:
        (path,) = await video.save(tmp_path, 5, 5, **options)
        match way:
            case "frames":
                (frame,) = [frame async for frame in video.frames(5, 5, **picture)]
            case "frame":
                frame = await video.frame(5, **picture)
            case _:
                frame = (await video.batch(5, 5, **picture))[0]
    assert frame.encode(options["ext"], **encoding) == Path(path).read_bytes()


@pytest.mark.anyio
async def test_bgr_is_encoded_in_its_own_colours() -> None:
    """Law: a frame that was decoded for OpenCV gives the same file as one in RGB."""
    async with af.open_video(CLIP) as video:
        rgb, bgr = await video.frame(3), await video.frame(3, image_format="bgr24")
    assert not np.array_equal(rgb.image, bgr.image)
    for ext in ("png", "jpg", "webp"):
        assert bgr.encode(ext) == rgb.encode(ext)
    assert bgr._repr_png_() == rgb._repr_png_()


RGB = np.zeros((4, 6, 3), np.uint8)


@pytest.mark.parametrize(
    ("frame", "ext", "options", "told"),
    [
        (bare(np.zeros((4, 6, 4), np.uint8), image_format="rgba"), "jpg", {}, "JPEG has no alpha"),
        (bare(np.zeros((4, 6, 3), np.uint16), image_format="rgb48"), "jpg", {}, "expected png, npy or raw"),
        (bare(np.zeros((4, 6), np.uint16), image_format="gray16"), "webp", {}, "expected png, npy or raw"),
        (bare(np.zeros((6, 4), np.uint8), image_format="i420"), "png", {}, "expected jpg, npy or raw"),
        (bare(np.zeros((4, 6, 3), np.uint16)), "jpg", {}, "expected uint8"),
        (bare(np.zeros((4, 6, 3), np.uint16)), "webp", {}, "webp"),
        (bare(np.zeros((4, 6, 3), np.float32)), "png", {}, "float32"),
        (bare(RGB), "mp4", {}, "expected png, jpg"),
        (bare(RGB), "x" * 5000, {}, "expected png, jpg"),
        (bare(RGB), "", {}, "expected png, jpg"),
        (bare(RGB), "png", {"quality": 90}, "quality is for"),
        (bare(RGB), "jpg", {"compression_level": 1}, "compression_level is for"),
        (bare(RGB), "jpg", {"quality": 101}, "quality=101: expected 1 to 100"),
        (bare(RGB), "webp", {"quality": -1}, "quality=-1: expected 0 to 100"),
        (bare(RGB), "png", {"compression_level": 10}, "compression_level=10: expected 0 to 9"),
        (af.ContactSheet(RGB, (0,)), "svg", {}, "expected png, jpg"),
    ],
)
def test_what_cannot_be_encoded_is_a_named_error(
    frame: af.Frame | af.ContactSheet, ext: str, options: dict[str, Any], told: str
) -> None:
    """The error names the frame and the format, says what is possible, and is a ValueError."""
    with pytest.raises(FrameEncodeError, match=told) as caught:
        frame.encode(ext, **options)
    error = caught.value
    assert isinstance(error, ValueError)
    assert error.index == (7 if isinstance(frame, af.Frame) else None)
    assert str(error).startswith("frame 7 cannot be" if isinstance(frame, af.Frame) else "the contact sheet")
    assert len(str(error)) < 400
    assert pickle.loads(pickle.dumps(error)).index == error.index


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1), (4, 6, 3), (4, 6, 4), (1000, 1000, 3)])
def test_a_notebook_shows_small_frames_unchanged(shape: tuple[int, ...]) -> None:
    """Up to a megapixel, each pixel is shown."""
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    shown = decoded(bare(image)._repr_png_())
    np.testing.assert_array_equal(shown, image.reshape(shown.shape))


@pytest.mark.parametrize(
    "shape", [(1080, 1920, 3), (2160, 3840), (4000, 400, 4), (3, 2_000_000), (3_000_000, 1)]
)
def test_a_notebook_shows_large_frames_scaled_down(shape: tuple[int, ...]) -> None:
    """They keep their shape, and have a megapixel at most."""
    height, width = decoded(bare(np.full(shape, 200, np.uint8))._repr_png_()).shape[:2]
    assert height * width <= MOST
    if min(shape[:2]) > 3:
        assert height * width > 0.99 * MOST
        assert width / height == pytest.approx(shape[1] / shape[0], rel=0.01)


@pytest.mark.anyio
@pytest.mark.parametrize("image_format", ["rgb24", "bgr24", "gray", "rgba", "rgb48", "gray16", "i420"])
async def test_a_notebook_shows_every_format(image_format: af.ImageFormat) -> None:
    """A frame is recognised, and so are those of a batch, each in its place."""
    async with af.open_video(CLIP) as video:
        batch = await video.batch(0, 11, image_format=image_format)
    assert painted_index(decoded(batch[9]._repr_png_())) == 9
    strip = decoded(batch._repr_png_())
    assert strip.shape[0] * strip.shape[1] <= MOST
    # 8 tiles of 143 pixels and gaps of 5 in the first of two rows
    places = [(5, 5 + 148 * column) for column in range(8)]
    tiles = [strip[top : top + 95, left : left + 143] for top, left in places]
    assert [painted_index(tile) for tile in tiles] == list(range(8))


@pytest.mark.anyio
async def test_a_long_batch_is_shown_by_some_of_its_frames() -> None:
    """The first and the last are among them; an empty batch has no picture."""
    async with af.open_video(CLIP) as video:
        batch = await video.batch(indices=[*range(24), *range(24)])
    assert len(decoded(batch._repr_png_())) == len(decoded(batch[:16]._repr_png_()))
    assert batch[:0]._repr_png_() is None


@pytest.mark.parametrize("shape", [(0, 4), (4, 0, 3), (4,), (4, 4, 7)])
def test_what_is_no_picture_is_shown_as_text(shape: tuple[int, ...]) -> None:
    """A notebook falls back to `repr`."""
    assert bare(np.zeros(shape, np.uint8))._repr_png_() is None
    assert bare(np.zeros((4, 4, 3), np.float32))._repr_png_() is None
    assert bare(np.zeros((4, 4), object))._repr_png_() is None


@pytest.mark.anyio
async def test_a_contact_sheet_spreads_frames() -> None:
    """It shows frames from all parts of the range, in a picture of the asked width."""
    done: list[int] = []
    async with af.open_video(CLIP) as video:
        sheet = await video.contact_sheet(0, 11, columns=3, rows=2, width=600, progress_cb=done.append)
        titled = await video.contact_sheet(0, 11, columns=3, rows=2, width=600, title="A film")
    assert sheet.indices == (1, 3, 5, 7, 9, 11)
    assert sum(done) == 6
    assert 580 < sheet.image.shape[1] <= 600
    assert titled.image.shape[0] > sheet.image.shape[0]
    assert repr(sheet) == f"ContactSheet(6 frames, {sheet.image.shape[1]}x{sheet.image.shape[0]} pixels)"
    np.testing.assert_array_equal(decoded(sheet.encode("png")), sheet.image)
    np.testing.assert_array_equal(decoded(sheet._repr_png_()), sheet.image)
    assert painted_index(sheet.image[8 : 8 + 127, 8 : 8 + 190]) == 1


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("options", "indices"),
    [
        ({"keyframes": True}, (0, 6, 12, 18)),
        ({"indices": [9, 2, 2]}, (9, 2, 2)),
        ({"start": -2}, (22, 23)),
        ({"num_frames": 3, "image_format": "gray"}, (0, 12, 23)),
        ({"columns": 1, "rows": 1}, (12,)),
        ({"fps": 5, "resize": (20, 20), "rows": 1}, (0, 5, 10, 15, 20)),
    ],
)
async def test_a_contact_sheet_takes_every_selection(
    options: dict[str, Any], indices: tuple[int, ...]
) -> None:
    """The frames that `frames` would yield, if they fit; the twin draws the same."""
    async with af.open_video(CLIP) as video:
        sheet = await video.contact_sheet(**options)
    assert sheet.indices == indices
    with af.sync.open_video(CLIP) as blocking:
        np.testing.assert_array_equal(blocking.contact_sheet(**options).image, sheet.image)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"columns": 0}, ValueError, "columns=0: expected 1 or more"),
        ({"rows": -1}, ValueError, "rows=-1: expected 1 or more"),
        ({"width": 0}, ValueError, "width=0: expected 1 or more"),
        ({"columns": 2.5}, TypeError, "float"),
        ({"start": 24}, FrameIndexError, "frame 24 is out of range"),
        ({"indices": []}, ValueError, "no frame is selected"),
        ({"width": 100_000}, ValueError, "expected at most 67,108,864 pixels"),
        ({"ext": "png"}, TypeError, "has no option 'ext'"),
    ],
)
async def test_an_impossible_sheet_is_an_error(
    options: dict[str, Any], error: type[Exception], told: str
) -> None:
    """A size, a selection or an option that cannot be is named."""
    async with af.open_video(CLIP) as video:
        with pytest.raises(error, match=told):
            await video.contact_sheet(**options)


def test_frames_keep_their_format_when_they_are_copied() -> None:
    """So that a copy is encoded in the right colours."""
    frame = bare(RGB, image_format="bgr24")
    assert replace(frame, index=2).image_format == "bgr24"
    assert pickle.loads(pickle.dumps(frame)).image_format == "bgr24"
