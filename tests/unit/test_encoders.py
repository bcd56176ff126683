"""Encoders give the image back, or say in advance that they cannot."""

from __future__ import annotations

import re
import subprocess
import sys
import zlib
from io import BytesIO
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image as PillowImage

from asyncframes._frames.jpeg import Subsampling
from asyncframes._types import Image
from asyncframes.writers import encode_jpeg, encode_png, encoder_for

SHAPES = st.tuples(st.integers(1, 70), st.integers(1, 70)).flatmap(
    lambda size: st.sampled_from([size, (*size, 1), (*size, 3), (*size, 4)])
)
IMAGES = SHAPES.flatmap(lambda shape: arrays(np.uint8, shape))
IMAGES_16_BIT = SHAPES.flatmap(lambda shape: arrays(np.uint16, shape))


def natural(height: int, width: int, channels: int = 3) -> Image:
    """Make smooth waves with a little noise: something that JPEG is meant for."""
    rows, columns = np.mgrid[0:height, 0:width]
    waves = [96 + 64 * np.sin(rows / (9 + c)) + 32 * np.cos(columns / (13 + c)) for c in range(channels)]
    noise = np.random.default_rng(0).normal(0, 1, (height, width, channels))
    return (np.dstack(waves) + noise).clip(0, 255).astype(np.uint8)


def decoded(data: bytes) -> Image:
    with PillowImage.open(BytesIO(data)) as image:
        image.load()
        return np.asarray(image)


def psnr(one: Image, other: Image) -> float:
    error = np.mean((one.astype(np.float64) - other.astype(np.float64)) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


@given(image=IMAGES, level=st.integers(0, 9))
def test_png_gives_back_every_pixel(image: Image, level: int) -> None:
    """Law: decode(encode(image)) == image for each shape, odd and 1x1 among them, and each level."""
    back = decoded(encode_png(image, compression_level=level))
    np.testing.assert_array_equal(back, image.reshape(back.shape))


@pytest.mark.parametrize("width", [1, 1000, 90_000])
def test_png_is_whole_across_strips(width: int) -> None:
    """Law: an image of many strips, or with rows longer than a strip, decodes to itself."""
    image = np.random.default_rng(0).integers(0, 256, (max(3, 400_000 // width), width, 3), np.uint8)
    np.testing.assert_array_equal(decoded(encode_png(image)), image)


@given(
    image=arrays(np.uint8, (9, 11, 3)),
    rows=st.sampled_from([slice(None), slice(None, None, -1), slice(1, None, 2)]),
    columns=st.sampled_from([slice(None), slice(None, None, -2), slice(2, 7)]),
)
def test_views_are_encoded_as_their_copies(image: Image, rows: slice, columns: slice) -> None:
    """Law: flipped, strided and cropped views encode to the bytes of their contiguous copies."""
    view = image[rows, columns, ::-1]
    assert encode_png(view) == encode_png(view.copy())
    assert encode_jpeg(view) == encode_jpeg(view.copy())


def test_png_checksums_are_right() -> None:
    """Law: each chunk's CRC is that of its type and data, and the file ends with IEND."""
    data = encode_png(natural(300, 400))
    position, kinds = 8, []
    while position < len(data):
        length = int.from_bytes(data[position : position + 4])
        body = data[position + 4 : position + 8 + length]
        kinds.append(body[:4])
        assert zlib.crc32(body) == int.from_bytes(data[position + 8 + length : position + 12 + length])
        position += 12 + length
    assert kinds[0] == b"IHDR"
    assert kinds[-1] == b"IEND"
    assert set(kinds[1:-1]) == {b"IDAT"}


def test_higher_png_levels_are_smaller() -> None:
    """Law: the levels 0, 1, 6 and 9 are in falling order of size."""
    sizes = [len(encode_png(natural(200, 300), compression_level=level)) for level in (0, 1, 6, 9)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 200 * 300 * 3


def test_png_needs_no_isal() -> None:
    """Law: on a platform without ISA-L the same pixels are stored through zlib."""
    code = (
        "import sys, io; sys.modules['isal'] = None\n"
        "import numpy as np; from PIL import Image\n"
        "from asyncframes._frames import png\n"
        "assert png.fast_zlib.__name__ == 'zlib'\n"
        "image = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)\n"
        "back = np.asarray(Image.open(io.BytesIO(png.encode_png(image))))\n"
        "np.testing.assert_array_equal(back, image)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("shape", [(0, 4, 3), (4, 0), (4,), (4, 4, 2), (4, 4, 5), (2, 4, 4, 3), ()])
@pytest.mark.parametrize("encode", [encode_png, encode_jpeg])
def test_impossible_shapes_are_value_errors(encode: object, shape: tuple[int, ...]) -> None:
    """Law: a shape that the format cannot hold is a ValueError."""
    assert callable(encode)
    with pytest.raises(ValueError):
        encode(np.zeros(shape, np.uint8))


@given(image=IMAGES_16_BIT)
def test_png_gives_back_16_bits(image: Image) -> None:
    """Law: decode(encode(image)) == image for uint16 as well, by FFmpeg, as Pillow makes 8 bits of colour."""
    layout = {1: "gray16be", 3: "rgb48be", 4: "rgba64be"}[1 if image.ndim == 2 else image.shape[2]]
    with av.open(BytesIO(encode_png(image)), "r", format="png_pipe") as container:
        frame = next(container.decode(video=0))
    assert frame.format.name == layout
    np.testing.assert_array_equal(frame.to_ndarray().reshape(image.shape), image)


@pytest.mark.parametrize("encode", [encode_png, encode_jpeg])
def test_other_dtypes_are_type_errors(encode: object) -> None:
    """Law: pixels other than those a format holds are refused, not converted."""
    assert callable(encode)
    with pytest.raises(TypeError, match="float32"):
        encode(np.zeros((4, 4, 3), np.float32))
    if encode is encode_jpeg:
        with pytest.raises(TypeError, match="uint16"):
            encode(np.zeros((4, 4, 3), np.uint16))


@given(height=st.integers(1, 70), width=st.integers(1, 70), channels=st.sampled_from([1, 3]))
def test_jpeg_keeps_size_and_likeness(height: int, width: int, channels: int) -> None:
    """Law: a JPEG has the size and kind of its image, and looks like it."""
    image = natural(height, width, channels)
    image = image[..., 0] if channels == 1 else image
    back = decoded(encode_jpeg(image))
    assert back.shape == image.shape
    assert psnr(back, image) > 30


def test_jpeg_channels_are_in_rgb_order() -> None:
    """Law: red stays red."""
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 255
    assert decoded(encode_jpeg(red))[8, 8].argmax() == 0


def test_jpeg_options_are_honoured() -> None:
    """Law: less quality and smaller colour planes make smaller files."""
    image = natural(120, 160)
    assert (
        len(encode_jpeg(image, quality=20)) < len(encode_jpeg(image)) < len(encode_jpeg(image, quality=100))
    )
    sizes = [len(encode_jpeg(image, subsampling=s)) for s in ("420", "422", "444")]
    assert sizes == sorted(sizes)


def test_jpeg_says_what_to_do_with_alpha() -> None:
    """Law: RGBA is refused with a way out, never stripped."""
    with pytest.raises(ValueError, match=r"alpha.*png"):
        encode_jpeg(np.zeros((4, 4, 4), np.uint8))


@pytest.mark.parametrize("subsampling", ["4:2:0", ""])
def test_unknown_subsampling_is_a_value_error(subsampling: Subsampling) -> None:
    """Law: a subsampling that is not one of the list is refused by name."""
    with pytest.raises(ValueError, match="subsampling"):
        encode_jpeg(np.zeros((4, 4, 3), np.uint8), subsampling=subsampling)


@pytest.mark.parametrize(
    ("ext", "pillow_format"),
    [
        ("png", "PNG"),
        (".PNG", "PNG"),
        ("jpg", "JPEG"),
        ("JPEG", "JPEG"),
        ("webp", "WEBP"),
        (".Tiff", "TIFF"),
        ("tif", "TIFF"),
        ("bmp", "BMP"),
    ],
)
def test_the_extension_chooses_the_format(ext: str, pillow_format: str) -> None:
    """Law: with or without dot and in any case, the bytes are of the format that the extension names."""
    image = natural(33, 41)
    data = encoder_for(ext)(image)
    with PillowImage.open(BytesIO(data)) as opened:
        assert opened.format == pillow_format
    assert psnr(decoded(data), image) > 30


@pytest.mark.parametrize(
    ("ext", "shape"),
    [
        *[("tiff", shape) for shape in [(7, 5), (7, 5, 3), (7, 5, 4), (3, 64, 3), (4, 64), (1, 1, 3)]],
        *[("bmp", shape) for shape in [(7, 5), (7, 5, 3), (3, 64, 3), (4, 64), (1, 1, 3)]],
    ],
)
def test_lossless_formats_of_imageio_give_back_every_pixel(ext: str, shape: tuple[int, ...]) -> None:
    """Law: bmp and tiff keep gray and RGB exactly, tiff RGBA too, also where a side has 3 or 4 pixels."""
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    np.testing.assert_array_equal(decoded(encoder_for(ext)(image)), image)


@given(image=IMAGES)
def test_npy_gives_back_the_array(image: Image) -> None:
    """Law: numpy.load of an npy file is the image, shape included."""
    np.testing.assert_array_equal(np.load(BytesIO(encoder_for("npy")(image))), image)


@pytest.mark.parametrize("ext", ["xyz", "mp4", "svg", "", ".", "exr", "xpm", "../png", "wmf"])
def test_unknown_extensions_are_named_at_once(ext: str) -> None:
    """Law: an extension that nothing writes is refused before there is any frame, by its name."""
    with pytest.raises(ValueError, match=re.escape("." + ext.removeprefix("."))):
        encoder_for(ext)


@pytest.mark.parametrize(
    ("ext", "options"),
    [
        ("png", {"quality": 90}),
        ("jpg", {"compression_level": 3}),
        ("bmp", {"quality": 90}),
        ("npy", {"compression_level": 1}),
        ("png", {"compression_level": 10}),
        ("png", {"compression_level": -1}),
        ("jpg", {"quality": 0}),
        ("jpg", {"quality": 101}),
        ("webp", {"quality": 101}),
    ],
)
def test_options_that_do_not_fit_are_refused_at_once(ext: str, options: dict[str, Any]) -> None:
    """Law: an option that the format lacks, or out of its range, fails when the encoder is chosen."""
    with pytest.raises(ValueError, match=f"{next(iter(options)).split('_')[0]}"):
        encoder_for(ext, **options)


@pytest.mark.parametrize("ext", ["jpg", "webp"])
def test_quality_reaches_the_encoder(ext: str) -> None:
    """Law: less quality is a smaller file."""
    image = natural(120, 160)
    assert len(encoder_for(ext, quality=10)(image)) < len(encoder_for(ext, quality=90)(image))


def test_compression_level_reaches_the_encoder() -> None:
    """Law: level 9 is a smaller file than level 0."""
    image = natural(120, 160)
    sizes = [len(encoder_for("png", compression_level=level)(image)) for level in (0, 9)]
    assert sizes[1] < sizes[0]


def test_an_image_that_the_format_cannot_hold_is_a_value_error() -> None:
    """Law: an encoder that meets an impossible image says so with a ValueError."""
    with pytest.raises(ValueError, match=r"pcx.*\(4, 4, 4\)"):
        encoder_for("pcx")(np.zeros((4, 4, 4), np.uint8))


def test_png_and_jpeg_do_not_load_imageio() -> None:
    """Law: choosing a fast path loads nothing of the slow one."""
    code = (
        "import sys\n"
        "from asyncframes.writers import encoder_for\n"
        "encoder_for('png'), encoder_for('jpg')\n"
        "assert 'asyncframes._frames.with_imageio' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("options", [{"quality": 50}, {"compression_level": 1}, {"image_format": "i420"}, {}])
def test_a_long_extension_is_quoted_short(options: dict[str, Any]) -> None:
    """An error quotes at most 200 characters of an extension."""
    with pytest.raises(ValueError, match="x") as caught:
        encoder_for("x" * 10_000, **options)
    assert len(str(caught.value)) < 400
