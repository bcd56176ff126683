"""Images after the first of a request, which come by way of a filter and lie in memory that is used again."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

import asyncframes as af
from asyncframes._media.image.convert import Converter
from asyncframes._media.image.pooled import is_worth_pooling
from asyncframes._model.rendering import Rendering
from asyncframes._types import ImageFormat
from tests.support.streams.clips import clip_bytes, painted_index

WIDTH, HEIGHT = 320, 180
RESERVED = 3


@pytest.fixture(autouse=True)
def filter_from_the_second_image_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set up the filter after one small image, as after one large image."""
    monkeypatch.setattr("asyncframes._media.image.convert.UNPOOLED_BYTES", 1)


def noise(layout: str, *, color_range: int, space: int, transfer: int = 2) -> VideoFrame:
    """Make a picture of random values."""
    random = np.random.default_rng(0)
    picture = av.VideoFrame(WIDTH, HEIGHT, layout)
    for plane in picture.planes:
        plane.update(random.integers(0, 256, plane.buffer_size, np.uint8).tobytes())
    picture.color_range, picture.colorspace, picture.color_trc = color_range, space, transfer
    return picture


@pytest.mark.parametrize("layout", ["yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuva420p"])
@pytest.mark.parametrize("image_format", ["rgb24", "bgr24", "rgba", "gray"])
@pytest.mark.parametrize("color_range", [0, 1, 2])
@pytest.mark.parametrize("space", [1, 2, 5, 9])
def test_later_images_are_made_as_the_first(
    layout: str, image_format: ImageFormat, color_range: int, space: int
) -> None:
    """The filter has the pixels of swscale itself, whatever layout, tags and target."""
    picture = noise(layout, color_range=color_range, space=space)
    convert = Converter(Rendering(image_format=image_format), Fraction(1), "noise")
    first, *later = [convert(picture) for _ in range(3)]
    for image in later:
        np.testing.assert_array_equal(image, first)


def test_colours_that_the_filter_may_refuse_come_out_the_same() -> None:
    """A transfer that no standard names says nothing of the conversion."""
    picture = noise("yuv420p", color_range=1, space=1, transfer=RESERVED)
    convert = Converter(Rendering(), Fraction(1), "noise")
    first, *later = [convert(picture) for _ in range(3)]
    assert all(np.array_equal(image, first) for image in later)


@pytest.mark.anyio
async def test_an_image_keeps_its_pixels_for_as_long_as_it_lives() -> None:
    """Memory is used again once nobody refers to it, not before: neither by views, nor after closing."""
    assert is_worth_pooling(WIDTH * 3, HEIGHT)
    clip = clip_bytes(frames=48, width=WIDTH, height=HEIGHT)
    kept, views = [], []
    async with af.open_video(clip) as video:
        async for frame in video.frames(queue_maxsize=2):
            # Of every third frame the array, of the next a view alone, the last not at all.
            if frame.index % 3 == 0:
                kept.append(frame)
            elif frame.index % 3 == 1:
                views.append((frame.index, frame.image[::-1]))
            del frame
        async for again in video.frames():
            assert painted_index(again.image) == again.index
    for frame in kept:
        assert frame.image.flags.writeable
        assert frame.image.flags.c_contiguous
        assert painted_index(frame.image) == frame.index
    for index, view in views:
        assert painted_index(view[::-1]) == index
