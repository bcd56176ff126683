"""Crops: unscaled ones are part of the image bit for bit, scaled ones are NumPy's to a level."""

from __future__ import annotations

import io
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import asyncframes as af
from asyncframes._media.image import region as _region
from asyncframes._media.image import tone as _tone
from asyncframes._media.image.convert import Converter
from asyncframes._model.rendering import make_rendering
from asyncframes.errors import CropError, UnsupportedMediaError
from tests.decode.test_one_conversion import clip_of
from tests.decode.test_picture_options import alpha_clip
from tests.support.exact.bicubic import scaled, to_rgb
from tests.support.marks import BOTH_ISOLATIONS, examples, grid
from tests.support.streams.clips import clip_bytes
from tests.support.streams.patches import SPACES, Patches, lossless

pytestmark = BOTH_ISOLATIONS

Planes = list[NDArray[Any]]

FORMATS = ["rgb24", "bgr24", "gray", "rgba", "rgb48", "gray16", "i420"]

# The numbers are chosen to begin and end between samples of chroma, inside them, and at the edges.
CROPS = [(8, 4, 64, 40), (9, 5, 63, 39), (0, 0, 1, 1), (95, 63, 1, 1), (0, 3, 96, 1), (1, 0, 95, 64)]


def planes_of(layout: str, width: int, height: int) -> Planes:
    """Make blocks of random values."""
    random = np.random.default_rng(width)
    made: Planes = []
    for number, plane in enumerate(VideoFrame(width, height, layout).planes):
        least, most = (60, 180) if number in {0, 3} else (90, 166)
        blocks = random.integers(least, most, (-(-plane.height // 4), -(-plane.width // 5)))
        made.append(blocks.repeat(4, axis=0).repeat(5, axis=1)[: plane.height, : plane.width])
    return made


def picture_of(layout: str, planes: Planes, *, space: str = "bt709") -> VideoFrame:
    """Make a picture of planes of 8 bits, with more bits if the layout has them."""
    height, width = planes[0].shape
    picture = VideoFrame(width, height, layout)
    bits = picture.format.components[0].bits
    dtype = np.uint8 if bits == 8 else np.uint16
    for plane, values in zip(picture.planes, planes, strict=True):
        lines = np.zeros((plane.height, plane.line_size // dtype().itemsize), dtype)
        lines[:, : values.shape[1]] = values << (bits - 8)
        plane.update(lines.tobytes())
    picture.colorspace, picture.color_range = SPACES[space], 2 if layout.startswith("yuvj") else 1
    return picture


def image_of(picture: VideoFrame, **options: Any) -> NDArray[Any]:
    return Converter(make_rendering(**options), Fraction(1), "")(picture)


def part_of(image: NDArray[Any], crop: tuple[int, int, int, int]) -> NDArray[Any]:
    x, y, width, height = crop
    return image[y : y + height, x : x + width]


def shrunk(planes: Planes, crop: tuple[int, int, int, int]) -> Planes:
    """Return the samples that belong to a crop, which begins and ends between them."""
    x, y, width, height = crop
    parts = []
    for plane in planes:
        down, across = (-(-whole // own) for whole, own in zip(planes[0].shape, plane.shape, strict=True))
        rows, columns = (
            slice(y // down, -(-(y + height) // down)),
            slice(x // across, -(-(x + width) // across)),
        )
        parts.append(plane[rows, columns])
    return parts


def levels_apart(one: NDArray[Any], other: NDArray[Any]) -> float:
    return float(np.abs(one.astype(np.float64) - np.round(other)).max())


# Unscaled


@pytest.mark.parametrize(
    ("layout", "image_format"),
    grid(
        ["yuv420p", "yuvj422p", "yuv444p10le", "yuva420p", "gray10le", "rgb24", "pal8"],
        FORMATS[:-1],
        fast=lambda layout, image_format: layout == "yuv420p" or image_format == "rgb24",
    ),
)
@pytest.mark.parametrize("is_odd", [False, True])
def test_an_unscaled_crop_is_that_part_of_the_image(layout: str, image_format: Any, is_odd: bool) -> None:
    """Bit for bit, in every place of a request, and in memory of its own."""
    size = (97, 65) if is_odd else (96, 64)
    with af.sync.open_video(clip_of(layout, size, is_interlaced=False)) as video:
        for accurate in (False, True):
            options: dict[str, Any] = {"image_format": image_format, "accurate_color": accurate}
            whole = [frame.image for frame in video.frames(**options)]
            for crop in [*CROPS, (0, 0, *size)]:
                for frame in video.frames(crop=crop, **options):
                    assert np.array_equal(frame.image, part_of(whole[frame.index], crop)), crop
                    assert frame.image.flags.c_contiguous
                    assert frame.image.flags.writeable
            assert np.array_equal(video.frame(3, crop=CROPS[1], **options).image, part_of(whole[3], CROPS[1]))


def test_a_crop_does_not_keep_the_memory_of_the_whole() -> None:
    """Also where it has full rows, which are contiguous in the whole image."""
    image = image_of(picture_of("yuv420p", planes_of("yuv420p", 96, 64)), crop=(0, 0, 96, 2))
    assert image.base is None


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_crop_is_of_the_upright_image(rotation: int, mirrored: bool) -> None:
    """Unscaled it is part of it. Scaled it is the stored part, scaled and turned."""
    clip = clip_bytes(frames=2, rotation=rotation, mirrored=mirrored)
    with af.sync.open_video(clip) as video, af.sync.open_video(clip) as as_stored:
        whole, stored = video.frame(1).image, as_stored.frame(1, autorotate=False).image
        crop = (5, 9, 40, 31)
        assert np.array_equal(video.frame(1, crop=crop).image, part_of(whole, crop))
        # Number the pixels to see which part of the stored picture the crop is.
        numbers = np.arange(stored.shape[0] * stored.shape[1]).reshape(stored.shape[:2])
        turned = turn_like(numbers, stored, whole)
        rows, columns = np.unravel_index(part_of(turned, crop), numbers.shape)
        sides = int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1
        size = (20, 50) if sides[0] == 40 else (50, 20)
        part = as_stored.frame(
            1, autorotate=False, crop=(int(columns.min()), int(rows.min()), *sides), resize=size
        ).image
        upright = video.frame(1, crop=crop, resize=(20, 50)).image
        assert np.array_equal(upright, turn_like(part, stored, whole))


def turn_like(image: NDArray[Any], stored: NDArray[Any], upright: NDArray[Any]) -> NDArray[Any]:
    """Turn an image as the stored one has to be turned to be the upright one."""
    for swapped in (False, True):
        for rows in (1, -1):
            for columns in (1, -1):
                if np.array_equal((stored.swapaxes(0, 1) if swapped else stored)[::rows, ::columns], upright):
                    return (image.swapaxes(0, 1) if swapped else image)[::rows, ::columns]
    raise AssertionError("the upright image is not the stored one turned")


# Scaled


@pytest.mark.parametrize(
    "layout", ["yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuv420p10le", "yuva420p", "gray"]
)
@pytest.mark.parametrize("image_format", FORMATS)
@pytest.mark.parametrize(
    "options",
    [
        {"resize": (224, 168)},
        {"resize": (30, 60), "fit": "inside", "multiple_of": 2},
        {"max_side": 30, "multiple_of": 2},
        {"resize": (None, 50), "multiple_of": 14},
    ],
    ids=str,
)
def test_a_scaled_crop_depends_on_nothing_outside(
    layout: str, image_format: Any, options: dict[str, Any]
) -> None:
    """Where no sample of chroma is cut, it is the resized image of a picture that holds the part only."""
    planes = planes_of(layout, 96, 64)
    for crop in ((8, 4, 64, 40), (32, 2, 64, 62), (0, 0, 50, 64)):
        alone = picture_of(layout, shrunk(planes, crop))
        image = image_of(picture_of(layout, planes), image_format=image_format, crop=crop, **options)
        assert np.array_equal(image, image_of(alone, image_format=image_format, **options))


@settings(max_examples=examples(60), deadline=None)
@given(
    layout=st.sampled_from(
        ["yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuv410p", "yuv411p", "yuv420p10le"]
    ),
    whole=st.sampled_from([(96, 64), (97, 64), (96, 65), (97, 65)]),
    x=st.integers(0, 30),
    y=st.integers(0, 20),
    size=st.tuples(st.integers(20, 200), st.integers(20, 200)),
    data=st.data(),
)
def test_a_scaled_crop_is_that_of_numpy(
    layout: str, whole: tuple[int, int], x: int, y: int, size: tuple[int, int], data: st.DataObject
) -> None:
    """Within a level, also where samples of chroma are cut: then each pixel has its own chroma first."""
    crop = (x, y, data.draw(st.integers(40, whole[0] - x)), data.draw(st.integers(30, whole[1] - y)))
    assume(size != crop[2:])
    # swscale leaves out the least weights, which is more than a level in steps of half the range.
    planes = [64 + plane // 2 for plane in planes_of(layout, *whole)]
    image = image_of(picture_of(layout, planes), crop=crop, resize=size)
    parts = parts_of(planes, layout, crop, whole)
    expected = to_rgb([scaled(part, size) for part in parts], "bt709", is_full_range=layout == "yuvj420p")
    # At the edges of a picture it adds those to their neighbours, which reaches over three samples of chroma.
    top, left = (-(-12 * new // old) for new, old in zip(size[::-1], crop[:1:-1], strict=True))
    inner = np.s_[top : size[1] - top, left : size[0] - left]
    assert levels_apart(image[inner], expected[inner]) <= 1


def parts_of(planes: Planes, layout: str, crop: tuple[int, int, int, int], whole: tuple[int, int]) -> Planes:
    """Return the samples of a crop. If it cuts some, each pixel has its own first."""
    sampling = av.VideoFormat(layout, 64, 64)
    steps = 64 // sampling.chroma_width(64), 64 // sampling.chroma_height(64)
    is_cut, around = False, [0, 0, 0, 0]
    for axis, (start, length, full, step) in enumerate(zip(crop[:2], crop[2:], whole, steps, strict=True)):
        is_cut |= bool(start % step or ((start + length) % step and start + length != full))
        around[axis] = max(0, start // step - 4) * step
        around[axis + 2] = min(full, (-(-(start + length) // step) + 4) * step) - around[axis]
    if not is_cut:
        return shrunk(planes, crop)
    x, y, *size = around
    within = (crop[0] - x, crop[1] - y, *crop[2:])
    wider = shrunk(planes, (x, y, size[0], size[1]))
    return [part_of(scaled(plane, (size[0], size[1])), within) for plane in wider]


@pytest.mark.parametrize(
    "layout",
    [
        "nv12", "p010le", "yuyv422", "monow", "rgb4_byte", "rgb565le", "bayer_rggb8", "xyz12le", "ya8",
        "yuva422p10le", "gbrp10le", "gbrpf32le", "bgr0", "rgba64le", "vuya", "gray12le",
    ],
)  # fmt: skip
@pytest.mark.parametrize("image_format", ["rgb24", "rgba", "rgb48", "gray", "i420"])
def test_every_layout_can_be_cropped_and_scaled(layout: str, image_format: Any) -> None:
    """The colours are those of the unscaled image, also where libavfilter has to get another layout."""
    rows, columns = np.mgrid[0:64, 0:96]
    smooth = np.stack([rows * 3, columns * 2, 255 - rows * 2 - columns], axis=-1).astype(np.uint8)
    if layout == "monow":
        smooth = np.where(columns[..., None] < 40, 0, 255).astype(np.uint8).repeat(3, axis=2)
    picture = VideoFrame.from_ndarray(smooth, "rgb24")
    picture = bayer(smooth) if layout == "bayer_rggb8" else picture.reformat(format=layout)
    options: dict[str, Any] = {"image_format": image_format, "accurate_color": True}
    for crop in ((8, 4, 64, 40), (9, 5, 64, 40)):
        image = image_of(picture, crop=crop, resize=(48, 30), **options).astype(np.float64)
        whole = image_of(picture, **options)
        if image_format == "i420":
            whole, image = whole[:64], image[:30]
        part = part_of(whole.reshape(64, 96, -1), crop)
        expected = np.stack([scaled(part[..., n], (48, 30)) for n in range(part.shape[2])], axis=-1)
        white = 65535 if image_format == "rgb48" else 255
        # Dithering, and the few levels of some layouts, blur differently.
        most = 0.25 if layout in {"rgb4_byte", "monow"} else 0.03
        apart = np.abs(image.reshape(expected.shape) - np.clip(expected, 0, white)) / white
        assert apart[2:-2, 2:-2].max() <= most
        assert apart.mean() <= most / 2


def bayer(image: NDArray[np.uint8]) -> VideoFrame:
    mosaic = image[..., 1].copy()
    mosaic[::2, ::2], mosaic[1::2, 1::2] = image[::2, ::2, 0], image[1::2, 1::2, 2]
    picture = VideoFrame(image.shape[1], image.shape[0], "bayer_rggb8")
    lines = np.zeros((picture.height, picture.planes[0].line_size), np.uint8)
    lines[:, : picture.width] = mosaic
    picture.planes[0].update(lines.tobytes())
    return picture


@pytest.mark.parametrize("image_format", ["rgb24", "rgb48", "i420"])
def test_an_untagged_matrix_is_that_of_the_whole_picture(image_format: Any) -> None:
    """A small part of an HD picture is converted as HD, whether chroma is cut or not."""
    planes = planes_of("yuv420p", 1280, 96)
    for crop in ((8, 4, 64, 40), (9, 5, 64, 40)):
        options: dict[str, Any] = {"crop": crop, "resize": (32, 20), "image_format": image_format}
        untagged = image_of(picture_of("yuv420p", planes, space="untagged"), **options)
        assert np.array_equal(untagged, image_of(picture_of("yuv420p", planes), **options))
        other = image_of(picture_of("yuv420p", planes, space="bt601"), **options)
        assert not np.array_equal(untagged, other)


@pytest.mark.parametrize("depth", [8, 10])
@pytest.mark.parametrize("is_full", [False, True])
def test_white_stays_white(depth: int, is_full: bool) -> None:
    """In 16 bits too, where the part gets more bits than the picture."""
    layout = "yuv420p" if depth == 8 else "yuv420p10le"
    white, gray = (255, 128) if is_full else (235, 128)
    planes = [
        np.full(shape, level) for shape, level in (((64, 96), white), ((32, 48), gray), ((32, 48), gray))
    ]
    picture = picture_of(layout, planes)
    picture.color_range = 2 if is_full else 1
    whole = image_of(picture, image_format="rgb48", resize=(30, 20))
    for crop in ((8, 4, 64, 40), (9, 5, 64, 40)):
        image = image_of(picture, image_format="rgb48", crop=crop, resize=(30, 20))
        assert np.abs(image.astype(int) - whole).max() <= 16


def test_fields_are_cropped_together() -> None:
    """A mark of interlacing changes nothing about a crop, as it changes nothing about the whole."""
    for crop in ((8, 4, 64, 40), (9, 5, 64, 40)):
        for resize in (None, (48, 30)):
            images = []
            for is_interlaced in (True, False):
                with af.sync.open_video(clip_of("yuv420p", (96, 64), is_interlaced=is_interlaced)) as video:
                    images.append([frame.image for frame in video.frames(crop=crop, resize=resize)])
            assert all(np.array_equal(one, other) for one, other in zip(*images, strict=True))


@pytest.mark.parametrize("crop", [(8, 4, 64, 40), (9, 5, 63, 39)])
def test_fields_are_filled_in_before_a_crop(crop: tuple[int, int, int, int]) -> None:
    """Rows at the edges of the crop come from the rows around them, also outside."""
    with af.sync.open_video(clip_of("yuv420p", (96, 64), is_interlaced=True)) as video:
        whole = [frame.image for frame in video.frames(deinterlace=True)]
        assert not np.array_equal(whole[2], video.frame(2).image)
        for frame in video.frames(deinterlace=True, crop=crop):
            assert np.array_equal(frame.image, part_of(whole[frame.index], crop))


@pytest.mark.parametrize("is_wide", [True, False])
def test_square_pixels_are_cropped_as_shown(is_wide: bool) -> None:
    """Unscaled it is part of the stretched image. Scaled it is that part scaled."""
    shape = Fraction(4, 3) if is_wide else Fraction(3, 4)
    whole = (128, 64) if is_wide else (96, 85)
    [plane] = planes_of("gray", 96, 64)
    picture = picture_of("gray", [plane])
    picture.color_range = 2

    def squared(**options: Any) -> NDArray[Any]:
        rendering = make_rendering(square_pixels=True, image_format="gray", **options)
        return Converter(rendering, shape, "")(picture)

    assert squared().shape == whole[::-1]
    crop = (7, 9, 81, 50)
    assert np.array_equal(squared(crop=crop), part_of(squared(), crop))
    inner = np.s_[3:-3, 3:-3]
    for options, size in (({"resize": (60, 40)}, (60, 40)), ({"max_side": 27}, (27, 17))):
        image = squared(crop=crop, **options)
        assert image.shape == size[::-1]
        assert levels_apart(image[inner], scaled(part_of(squared(), crop), size)[inner]) <= 1
    covered = squared(resize=(40, 40), fit="cover")
    side = min(whole)
    central = ((whole[0] - side) // 2, (whole[1] - side) // 2, side, side)
    assert levels_apart(covered[inner], scaled(part_of(squared(), central), (40, 40))[inner]) <= 1


@pytest.mark.parametrize("box", [(40, 40), (64, 30), (30, 60), (64, 64)])
@pytest.mark.parametrize("layout", ["yuv420p", "yuv444p"])
def test_cover_is_the_central_crop_resized(layout: str, box: tuple[int, int]) -> None:
    """It is what `crop` and `resize` give for the part that `framing_of` tells."""
    picture = picture_of(layout, planes_of(layout, 96, 64))
    rendering = make_rendering(resize=box, fit="cover")
    crop = tuple(rendering.framing_of(96, 64, Fraction(1)).region)
    assert np.array_equal(
        image_of(picture, resize=box, fit="cover"), image_of(picture, crop=crop, resize=box)
    )


@pytest.mark.slow
@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
def test_opacity_beside_the_pictures_is_cropped_with_them(codec: str) -> None:
    """Unscaled bit for bit, scaled to a level of NumPy."""
    with af.sync.open_video(alpha_clip(codec)) as video:
        whole = [frame.image for frame in video.frames(image_format="rgba")]
        crop = (9, 5, 63, 39)
        for frame in video.frames(image_format="rgba", crop=crop):
            assert np.array_equal(frame.image, part_of(whole[frame.index], crop))
        for options in (
            {"crop": crop, "resize": (40, 30)},
            {"crop": crop, "resize": (40, 30), "fit": "cover"},
        ):
            region = make_rendering(**options).framing_of(96, 64, Fraction(1)).region
            image = video.frame(7, image_format="rgba", **options).image
            expected = np.clip(scaled(part_of(whole[7][..., 3], region), (40, 30)), 0, 255)
            # From black to white the scaler overshoots, and swscale clips after each of its two passes.
            assert levels_apart(image[3:-3, 3:-3, 3], expected[3:-3, 3:-3]) <= 4


HDR: dict[str, Any] = {"layout": "yuv420p10le", "space": "bt2020", "transfer": 16, "primaries": 9}


def tone_mapped(pictures: list[tuple[VideoFrame, dict[str, Any]]]) -> list[NDArray[Any]]:
    """Map pictures of one kind that become images of one size, with one lookup table, which takes seconds."""
    mapper, images = _tone.ToneMapper(), []
    for picture, options in pictures:
        convert = Converter(make_rendering(tone_map=True, **options), Fraction(1), "")
        convert._tone_mapper = mapper
        images.append(convert(picture))
    return images


def hdr_picture(planes: Planes) -> VideoFrame:
    picture = picture_of("yuv420p10le", planes)
    picture.colorspace, picture.color_trc, picture.color_primaries = 9, 16, 9
    return picture


@pytest.mark.slow
def test_an_unscaled_crop_is_part_of_the_tone_mapped_image() -> None:
    """Bit for bit."""
    picture = hdr_picture(planes_of("yuv420p10le", 96, 64))
    crop = (9, 5, 63, 39)
    whole, part = tone_mapped([(picture, {}), (picture, {"crop": crop})])
    assert np.array_equal(part, part_of(whole, crop))


@pytest.mark.slow
def test_a_scaled_crop_is_tone_mapped_like_a_picture_of_its_own() -> None:
    """Bit for bit as well."""
    planes = planes_of("yuv420p10le", 96, 64)
    crop = (8, 4, 64, 40)
    part, alone = tone_mapped(
        [
            (hdr_picture(planes), {"crop": crop, "resize": (32, 20)}),
            (hdr_picture(shrunk(planes, crop)), {"resize": (32, 20)}),
        ]
    )
    assert np.array_equal(part, alone)


@pytest.mark.slow
def test_a_scaled_crop_that_cuts_chroma_is_tone_mapped() -> None:
    """Its colours are those of the unscaled crop, in the middle of flat patches."""
    crop = (31, 15, 64, 96)
    with av.open(io.BytesIO(Patches(**HDR).clip()), "r") as container:
        picture = next(container.decode(video=0))
    [unscaled] = tone_mapped([(picture, {"crop": crop})])
    [scaled_up] = tone_mapped([(picture, {"crop": crop, "resize": (128, 192)})])
    flat = unscaled[9::16, 9::16].astype(int)
    assert np.abs(scaled_up[18::32, 18::32].astype(int) - flat).max() <= 2


# Planes


def planes_in(image: NDArray[Any]) -> Planes:
    height, width = image.shape[0] * 2 // 3, image.shape[1]
    return [image[:height], *image[height:].reshape(2, height // 2, width // 2)]


@pytest.mark.parametrize("layout", ["yuv420p", "yuvj420p", "yuv444p", "rgb24"])
def test_even_crops_of_planes_are_parts_of_the_planes(layout: str) -> None:
    """Each plane is the part of the whole one, bit for bit."""
    with af.sync.open_video(clip_of(layout, (96, 64), is_interlaced=False)) as video:
        for frame in video.frames(image_format="i420"):
            image = video.frame(frame.index, image_format="i420", crop=(10, 6, 60, 42)).image
            whole = planes_in(frame.image)
            expected = [
                part_of(whole[0], (10, 6, 60, 42)),
                *(part_of(one, (5, 3, 30, 21)) for one in whole[1:]),
            ]
            assert all(
                np.array_equal(one, other) for one, other in zip(planes_in(image), expected, strict=True)
            )


@pytest.mark.parametrize("layout", ["yuv420p", "yuvj420p", "yuv444p"])
@pytest.mark.parametrize("whole", [(97, 65), (96, 64)])
@pytest.mark.parametrize("crop", [(0, 0, 96, 64), (1, 1, 94, 62), (9, 4, 48, 32)])
def test_other_crops_of_planes_are_computed(
    layout: str, whole: tuple[int, int], crop: tuple[int, int, int, int]
) -> None:
    """A picture or a place that is odd has no such planes. Those of the crop are NumPy's to a level."""
    planes = planes_of(layout, *whole)
    picture = picture_of(layout, planes, space="bt601")
    size = crop[2:]
    parts = parts_of(planes, layout, crop, whole)
    expected = [scaled(parts[0], size), *(scaled(part, (size[0] // 2, size[1] // 2)) for part in parts[1:])]
    if layout != "yuvj420p":
        expected = [
            (expected[0] - 16) * 255 / 219,
            *((part - 128) * 255 / 224 + 128 for part in expected[1:]),
        ]
    for plane, values in zip(
        planes_in(image_of(picture, image_format="i420", crop=crop)), expected, strict=True
    ):
        assert plane.shape == values.shape
        assert levels_apart(plane[3:-3, 3:-3], values[3:-3, 3:-3]) <= 1


def test_odd_sizes_of_planes_are_refused() -> None:
    """The error says what helps, and that helps."""
    picture = picture_of("yuv420p", planes_of("yuv420p", 96, 64))
    for options in ({"crop": (0, 0, 31, 32)}, {"max_side": 35}):
        with pytest.raises(UnsupportedMediaError, match=r"even width and height.*multiple_of=2"):
            image_of(picture, image_format="i420", **options)
        assert image_of(picture, image_format="i420", multiple_of=2, **options).ndim == 2


# Elsewhere


@pytest.mark.parametrize(
    "options",
    [
        {"crop": (9, 5, 63, 39)},
        {"crop": (9, 5, 63, 39), "image_format": "gray16"},
        {"crop": (10, 4, 62, 40), "image_format": "i420"},
        {"crop": (9, 5, 63, 39), "resize": (30, 20)},
        {"resize": (32, 32), "fit": "cover"},
        {"max_side": 50, "multiple_of": 14},
    ],
    ids=str,
)
def test_a_batch_holds_the_same_images(options: dict[str, Any]) -> None:
    """Bit for bit those of single frames."""
    with af.sync.open_video(clip_of("yuv420p", (96, 64), is_interlaced=False)) as video:
        single = np.stack([frame.image for frame in video.frames(**options)])
        assert np.array_equal(video.batch(**options).images, single)
        with pytest.raises(CropError, match="96x64"):
            video.batch(crop=(0, 0, 97, 64))


# Refusals


@pytest.mark.anyio
async def test_a_crop_outside_is_refused_with_the_size_of_the_picture() -> None:
    """Frames before a change of size still come, and `resize` with a crop makes sizes alike."""
    parts = [
        clip_bytes(frames=6, container="h264", width=width, height=height)
        for width, height in ((128, 96), (96, 64))
    ]
    images = []
    async with af.open_video(b"".join(parts)) as video:
        with pytest.raises(
            CropError, match=r"crop=\(0, 0, 100, 50\).*96x64: expected x \+ width <= 96"
        ) as caught:
            async for frame in video.frames(crop=(0, 0, 100, 50)):
                images.append(frame.image)  # noqa: PERF401 - a comprehension would lose them to the error
        assert [image.shape for image in images] == [(50, 100, 3)] * 6
        assert (caught.value.crop, caught.value.width, caught.value.height) == ((0, 0, 100, 50), 96, 64)
        covered = [frame.image.shape async for frame in video.frames(resize=(32, 32), fit="cover")]
        assert covered == [(32, 32, 3)] * 12
        assert (await video.frame(0)).image.shape == (96, 128, 3)


def test_without_the_filter_a_scaled_crop_is_a_named_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A build of FFmpeg that cannot crop says so, and unscaled crops still come."""
    picture = picture_of("yuv420p", planes_of("yuv420p", 96, 64))

    def missing(*_: Any) -> None:
        raise ValueError("no such filter")

    monkeypatch.setattr(_region, "make_chain", missing)
    with pytest.raises(UnsupportedMediaError, match="libavfilter's crop filter"):
        image_of(picture, crop=(0, 0, 8, 8), resize=(4, 4))
    assert image_of(picture, crop=(0, 0, 8, 8)).shape == (8, 8, 3)


@pytest.mark.parametrize(
    "options",
    [
        {"resize": (2**20, 2**20)},
        {"resize": (2**30, None)},
        {"resize": (None, 2**31 - 1)},
        {"resize": (2**30, 2**30), "fit": "cover"},
        {"multiple_of": 2**31 - 1},
    ],
    ids=str,
)
@pytest.mark.parametrize("crop", [None, (0, 0, 8, 48), (1, 1, 48, 8)])
def test_a_size_that_nothing_makes_is_a_named_error(options: dict[str, Any], crop: Any) -> None:
    """With a crop and without one."""
    clip = lossless([picture_of("yuv420p", planes_of("yuv420p", 96, 64))])
    with af.sync.open_video(clip) as video:
        with pytest.raises(UnsupportedMediaError):
            video.frame(0, crop=crop, **options)
        assert video.frame(0, max_side=2**31 - 1).image.shape == (64, 96, 3)
