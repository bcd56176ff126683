"""``asyncframes sheet``: draws frames from all parts of a video in one picture."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from urllib.parse import unquote, urlsplit

from PIL import Image as PillowImage

import asyncframes as af
from asyncframes._model.table import Int64Array
from asyncframes._runtime.temporaries import sweep
from asyncframes._runtime.whole_files import whole_file
from asyncframes._saving.sheet import contact_sheet, shrink, tile_width_for
from asyncframes.cli import _common, _options
from asyncframes.errors import FrameWriteError
from asyncframes.sources._data_url import is_data_url, name_of_data_url
from asyncframes.writers._files import reason_of

EXAMPLES = """\
  asyncframes sheet film.mp4 film.png
  asyncframes sheet https://example.org/film.mp4 film.jpg --columns 4 --rows 10 --width 2400
  asyncframes sheet film.mp4 end.png --start -500"""

COLUMNS, ROWS, WIDTH = 5, 4, 1600


def add_parser(commands: _options.Commands) -> None:
    """Add the command to the parser."""
    parser = _options.new_command(
        commands,
        "sheet",
        help_text="draw a contact sheet, in which each frame has its index and time",
        examples=EXAMPLES,
    )
    _options.add_source_options(parser)
    parser.add_argument("out", metavar="OUT", type=Path, help="the image file: .png, .jpg, .webp, ...")
    _options.add_range_options(parser)
    group = parser.add_argument_group("sheet")
    for name, default in (("columns", COLUMNS), ("rows", ROWS)):
        group.add_argument(
            f"--{name}",
            type=_options.positive(int),
            default=default,
            metavar="N",
            help=f"number of {name} (default: %(default)s)",
        )
    group.add_argument(
        "--width",
        type=_options.positive(int),
        default=WIDTH,
        metavar="PIXELS",
        help="width of the sheet (default: %(default)s)",
    )
    _options.add_progress_option(parser)
    parser.set_defaults(run=run)


async def run(arguments: argparse.Namespace) -> None:
    """Decode the frames, draw the sheet, and print where it is."""
    # The first call makes Pillow import every format that it knows, which takes a while.
    await asyncio.to_thread(picture_format, arguments.out)
    async with _common.opened_video(arguments) as (video, progress):
        width = tile_width_for(arguments.width, arguments.columns)
        asked = await video.indices(arguments.start, arguments.end)
        indices = spread(asked, arguments.columns * arguments.rows)
        with progress.frames(len(indices)) as advance:
            frames = await tiles(video, indices, width, advance)
        title = f"{last_part(arguments.source)}   {facts(video.info)}"
        await asyncio.to_thread(
            draw, frames, arguments.out, columns=arguments.columns, tile_width=width, title=title
        )
        _common.report(f"{_common.counted(len(indices), 'frame')} on {arguments.out}", video)


def spread(indices: Int64Array, number: int) -> list[int]:
    """Pick at most `number` of `indices`, from the middles of as many equal parts."""
    number = min(number, len(indices))
    return [int(indices[(2 * part + 1) * len(indices) // (2 * number)]) for part in range(number)]


async def tiles(
    video: af.Video, indices: list[int], width: int, advance: Callable[[int], None]
) -> list[af.Frame]:
    """Decode the frames, each scaled down as it comes so that memory holds small frames only."""
    frames = []
    async with aclosing(video.frames(indices=indices)) as decoded:
        async for frame in decoded:
            frames.append(await asyncio.to_thread(shrink, frame, width))
            advance(1)
    return frames


def draw(frames: list[af.Frame], out: Path, *, columns: int, tile_width: int, title: str) -> None:
    """Draw the sheet and write it to `out`, which appears only once complete."""
    sheet = contact_sheet(frames, columns=columns, tile_width=tile_width, title=title)
    try:
        sweep(out.parent)
        with whole_file(out) as temporary, temporary.open("xb") as file:
            sheet.save(file, format=picture_format(out), quality=90)
    except OSError as exc:
        raise FrameWriteError(f"contact sheet {out} not written: {reason_of(exc)}", path=str(out)) from exc


def facts(info: af.VideoInfo) -> str:
    """Describe size, rate and codec in a few words."""
    rate = f", {float(info.average_rate):.6g} fps" if info.average_rate else ""
    return f"{info.width}x{info.height}{rate}, {info.codec}"


def picture_format(out: Path) -> str:
    """Return Pillow's name for the format of the file's extension."""
    known = PillowImage.registered_extensions()
    try:
        return known[out.suffix.lower()]
    except KeyError:
        raise ValueError(f"{out}: expected an image file extension such as .png or .jpg") from None


def last_part(source: str) -> str:
    """Name a source without its directories, query or credentials."""
    if is_data_url(source):
        return name_of_data_url(source)
    path = unquote(urlsplit(source).path) if "://" in source else source
    return path.rstrip("/\\").replace("\\", "/").rpartition("/")[2]
