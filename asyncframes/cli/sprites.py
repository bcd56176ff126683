"""``asyncframes sprites``: draws a sprite sheet and the WebVTT that players read."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
from fractions import Fraction
from pathlib import Path
from urllib.parse import quote

from asyncframes._frames.encoders import encoder_for
from asyncframes._model.quoting import quoted_option
from asyncframes.cli import _common, _options, _outputs, _policy
from asyncframes.cli._arguments import values
from asyncframes.cli._arguments.parser import Commands, new_command
from asyncframes.web import _sprites

EXAMPLES = """\
  asyncframes sprites film.mp4 film.jpg film.vtt
  asyncframes sprites https://example.org/film.mp4 film.jpg film.vtt --every 10s --columns 5 --width 240"""

_MOST_TILES = 10_000
_UNITS = {"ms": Fraction(1, 1000), "s": Fraction(1), "m": Fraction(60), "": Fraction(1)}


def add_parser(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = new_command(
        commands,
        "sprites",
        "SOURCE OUT VTT",
        help_text="draw a sprite sheet with the WebVTT that players read",
        examples=EXAMPLES,
    )
    _options.add_source_options(parser)
    parser.add_argument("out", metavar="OUT", type=Path, help="the image file: .jpg, .png, .webp, ...")
    parser.add_argument("vtt", metavar="VTT", type=Path, help="the WebVTT file, which names the image file")
    group = parser.add_argument_group("sprites")
    group.add_argument(
        "--every",
        type=interval,
        metavar="TIME",
        help="time from one picture to the next, such as 10s, 500ms or 1m "
        "(default: a hundredth of the video, but at least 1s)",
    )
    group.add_argument(
        "--columns",
        type=values.positive(int),
        default=_sprites.COLUMNS,
        metavar="N",
        help="pictures in a row (default: %(default)s)",
    )
    group.add_argument(
        "--width",
        type=values.positive(int),
        default=_sprites.WIDTH,
        metavar="PIXELS",
        help="width of a picture (default: %(default)s)",
    )
    _outputs.add_overwrite_option(parser)
    _policy.add_policy_options(parser)
    _options.add_progress_option(parser)
    parser.set_defaults(run=run)


async def run(arguments: argparse.Namespace) -> None:
    """Draw the sheet, and print where it is."""
    out, vtt = arguments.out, arguments.vtt
    await asyncio.to_thread(_outputs.refuse_unless_image, out)
    if await asyncio.to_thread(_outputs.are_kept, [out, vtt], arguments.overwrite):
        _common.report(arguments, f"{out} and {vtt} exist and are kept")
        return
    async with _common.opened_video(arguments) as (video, _):
        sprites = await _sprites.plan_sprites(
            video,
            every=arguments.every,
            columns=arguments.columns,
            width=arguments.width,
            most=_MOST_TILES,
        )
        sheet = await _sprites.draw_sprites(video, sprites)
        times = sprites.vtt(_address(out, vtt)).encode("ascii")
        await asyncio.to_thread(
            lambda: _outputs.write(out, encoder_for(out.suffix)(sheet), arguments.overwrite)
        )
        await asyncio.to_thread(_outputs.write, vtt, times, arguments.overwrite)
        _common.report(
            arguments, f"{_common.counted(len(sprites.indices), 'frame')} on {out}, times in {vtt}", video
        )


def interval(text: str) -> Fraction:
    """Parse a time with its unit, exactly."""
    found = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m|)", text)
    value = Fraction(found[1]) * _UNITS[found[2]] if found else Fraction(0)
    if value <= 0:
        raise argparse.ArgumentTypeError(
            f"expected a time such as 10s, 500ms or 1m, not {quoted_option(text)}"
        )
    return value


def _address(out: Path, vtt: Path) -> str:
    """Return where the image is, as seen from the WebVTT."""
    return quote(Path(os.path.relpath(out, vtt.parent)).as_posix())
