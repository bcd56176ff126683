"""``asyncframes sheet``: draws frames from all parts of a video in one picture."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import Unpack
from urllib.parse import unquote, urlsplit

import asyncframes as af
from asyncframes._model.options import DEFAULTS, option, part_of
from asyncframes._types import Overwrite
from asyncframes.cli import _common, _options, _outputs, _policy, extract
from asyncframes.cli._arguments import values
from asyncframes.cli._arguments.parser import Commands, new_command
from asyncframes.cli._progress import Progress
from asyncframes.sources._data_url import is_data_url, name_of_data_url

EXAMPLES = """\
  asyncframes sheet film.mp4 film.png
  asyncframes sheet https://example.org/film.mp4 film.jpg --columns 4 --rows 10 --width 2400
  asyncframes sheet film.mp4 end.png --start -500
  asyncframes sheet film.mp4 scenes.png --keyframes --rows 20"""


def add_parser(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = new_command(
        commands,
        "sheet",
        "SOURCE OUT",
        help_text="draw a contact sheet, in which each frame has its index and time",
        examples=EXAMPLES,
    )
    _options.add_source_options(parser)
    parser.add_argument("out", metavar="OUT", type=Path, help="the image file: .png, .jpg, .webp, ...")
    extract.add_selection_options(parser)
    group = parser.add_argument_group("sheet")
    for name in ("columns", "rows"):
        group.add_argument(
            f"--{name}",
            type=values.positive(int),
            default=DEFAULTS[name],
            metavar="N",
            help=f"number of {name} (default: %(default)s)",
        )
    group.add_argument(
        "--width",
        type=values.positive(int),
        default=DEFAULTS["width"],
        metavar="PIXELS",
        help="width of the sheet (default: %(default)s)",
    )
    _outputs.add_overwrite_option(parser)
    _policy.add_policy_options(parser)
    _options.add_progress_option(parser)
    parser.set_defaults(run=run)


async def run(arguments: argparse.Namespace) -> None:
    """Draw the sheet, and print where it is."""
    await asyncio.to_thread(_outputs.refuse_unless_image, arguments.out)
    if await asyncio.to_thread(_outputs.are_kept, [arguments.out], arguments.overwrite):
        _common.report(arguments, f"{arguments.out} exists and is kept")
        return
    async with _common.opened_video(arguments, on_corrupt=arguments.on_corrupt) as (video, progress):
        drawn = await draw(
            video,
            arguments.out,
            progress,
            name=last_part(arguments.source),
            overwrite=arguments.overwrite,
            **extract.selection_of(arguments),
            columns=arguments.columns,
            rows=arguments.rows,
            width=arguments.width,
        )
        _common.report(arguments, f"{_common.counted(drawn, 'frame')} on {arguments.out}", video)


async def draw(
    video: af.Video,
    out: Path,
    progress: Progress,
    *,
    name: str,
    overwrite: Overwrite,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
    **options: Unpack[af.SheetOptions],
) -> int:
    """Draw a sheet with a title, write it to `out`, and return the number of frames on it."""
    selected = await video.indices(start, end, step, **part_of(options, af.SelectionOptions))
    most = option(options, "columns") * option(options, "rows")
    with progress.frames(min(len(selected), most)) as advance:
        options |= {"title": f"{name}   {facts(video.info)}", "progress_cb": advance}
        sheet = await video.contact_sheet(start, end, step, **options)
    await asyncio.to_thread(lambda: _outputs.write(out, sheet.encode(out.suffix), overwrite))
    return len(sheet.indices)


def facts(info: af.VideoInfo) -> str:
    """Describe size, rate and codec in a few words."""
    rate = f", {float(info.average_rate):.6g} fps" if info.average_rate else ""
    return f"{info.width}x{info.height}{rate}, {info.codec}"


def last_part(source: str) -> str:
    """Name a source without its directories, query or credentials."""
    if is_data_url(source):
        return name_of_data_url(source)
    path = unquote(urlsplit(source).path) if "://" in source else source
    return path.rstrip("/\\").replace("\\", "/").rpartition("/")[2]
