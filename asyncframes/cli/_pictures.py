"""The options for how images are made."""

from __future__ import annotations

import argparse
import re
from typing import get_args

from asyncframes._model.quoting import quoted_option
from asyncframes._types import ColorMatrix, Fit, ImageFormat, PictureOptions
from asyncframes.cli._arguments.values import positive

_FORMATS = [name for name in get_args(ImageFormat) if name != "bgr24"]


def add_picture_options(parser: argparse.ArgumentParser) -> None:
    """Add --image-format and one option for each of `PictureOptions`."""
    group = parser.add_argument_group("pictures")
    group.add_argument(
        "--image-format", choices=_FORMATS, default="rgb24", help="pixel layout of the files (default: rgb24)"
    )
    group.add_argument(
        "--resize", type=size, metavar="WxH", help="scale to this size; 640x or x360 keep the aspect ratio"
    )
    group.add_argument(
        "--crop",
        type=region,
        metavar="X,Y,W,H",
        help="crop the upright picture to this rectangle, before scaling",
    )
    group.add_argument(
        "--fit",
        choices=get_args(Fit),
        default="stretch",
        help="with --resize WxH: stretch the picture, fit it inside, or cover the size and cut the rest "
        "(default: stretch)",
    )
    group.add_argument(
        "--max-side",
        type=positive(int),
        metavar="N",
        help="scale pictures down until their longer side is at most N; not with --resize",
    )
    group.add_argument(
        "--multiple-of",
        type=positive(int),
        default=1,
        metavar="N",
        help="round width and height to multiples of N",
    )
    group.add_argument(
        "--square-pixels", action="store_true", help="apply the sample aspect ratio, as players do"
    )
    group.add_argument(
        "--autorotate",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="rotate images upright, as the display matrix requires (default: yes)",
    )
    group.add_argument(
        "--deinterlace", action="store_true", help="interpolate the missing rows of interlaced frames"
    )
    group.add_argument(
        "--tone-map", action="store_true", help="convert HDR to standard dynamic range (BT.709)"
    )
    group.add_argument(
        "--accurate-color", action="store_true", help="interpolate chroma in 8-bit 4:2:0 and 4:2:2 (slower)"
    )
    group.add_argument(
        "--color-matrix",
        choices=["auto", *get_args(ColorMatrix)],
        default="auto",
        help="matrix for converting YUV to RGB (default: auto, the stream's own)",
    )


def picture_options(arguments: argparse.Namespace) -> PictureOptions:
    """Collect the picture options."""
    return PictureOptions(
        crop=arguments.crop,
        resize=arguments.resize,
        fit=arguments.fit,
        max_side=arguments.max_side,
        multiple_of=arguments.multiple_of,
        square_pixels=arguments.square_pixels,
        autorotate=arguments.autorotate,
        deinterlace=arguments.deinterlace,
        tone_map=arguments.tone_map,
        accurate_color=arguments.accurate_color,
        color_matrix=arguments.color_matrix,
    )


def size(text: str) -> tuple[int | None, int | None]:
    """Parse ``WxH``. Either number may be missing."""
    match = re.fullmatch(r"([1-9]\d*)?x([1-9]\d*)?", text, re.ASCII)
    if match is None or text == "x":
        raise argparse.ArgumentTypeError(
            f"expected a size such as 640x360, 640x or x360, not {quoted_option(text)}"
        )
    width, height = match.groups()
    return int(width) if width else None, int(height) if height else None


def region(text: str) -> tuple[int, int, int, int]:
    """Read ``X,Y,W,H``."""
    match = re.fullmatch(r"(\d{1,9}),(\d{1,9}),([1-9]\d{0,8}),([1-9]\d{0,8})", text, re.ASCII)
    if match is None:
        raise argparse.ArgumentTypeError(
            f"expected X,Y,WIDTH,HEIGHT such as 0,0,640,360, not {quoted_option(text)}"
        )
    x, y, width, height = map(int, match.groups())
    return x, y, width, height
