"""``asyncframes extract``: writes frames to image files."""

from __future__ import annotations

import argparse
from typing import Any

from asyncframes._model.options import SaveOptions, part_of
from asyncframes._saving.save import Saving
from asyncframes.cli import _common, _options, _pictures, _policy
from asyncframes.cli._arguments import values
from asyncframes.cli._arguments.parser import Commands, new_command

EXAMPLES = """\
  asyncframes extract film.mp4 frames --start 100 --end 199
  asyncframes extract film.mp4 frames --start -10
  asyncframes extract https://example.org/film.mp4 frames --fps 1 --ext jpg --quality 90
  asyncframes extract film.mp4 frames --keyframes --resize 320x --ext webp
  asyncframes extract film.mp4 frames --indices 0,250,-1 --template '{index}.{ext}'
  asyncframes extract supervisely://12345 frames --end 9
  asyncframes extract film.mp4 frames --overwrite skip    (resume an interrupted run)"""

INTERRUPTED = "interrupted; the files written so far are complete, and --overwrite skip resumes from them"


def add_parser(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = new_command(
        commands, "extract", "SOURCE DIR", help_text="write frames to image files", examples=EXAMPLES
    )
    _options.add_source_options(parser)
    parser.add_argument("directory", metavar="DIR", help="directory for the files; created if missing")
    add_selection_options(parser)
    _pictures.add_picture_options(parser)
    add_file_options(parser)
    _policy.add_policy_options(parser)
    _options.add_progress_option(parser)
    parser.set_defaults(run=run, interrupted=INTERRUPTED)


def add_selection_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that select frames."""
    group = _options.add_range_options(parser)
    group.add_argument("--step", type=int, default=1, metavar="N", help="every N-th frame of the range")
    group.add_argument(
        "--time-range",
        type=values.time_range,
        metavar="TIME-TIME",
        help="frames shown between these times: 2-5.5, 2-, -5.5, 00:01:30-00:02:00.5",
    )
    ways = group.add_mutually_exclusive_group()
    ways.add_argument("--fps", type=values.rate, metavar="RATE", help="this many frames per second")
    ways.add_argument("--indices", type=values.integers, metavar="I,...", help="these frames: 0,25,-1")
    ways.add_argument(
        "--times",
        type=values.seconds,
        metavar="TIME,...",
        help="frames shown at these times: 0.5,90 or 00:02:00.5",
    )
    ways.add_argument(
        "--num-frames", type=values.positive(int), metavar="N", help="N frames, spread evenly over the range"
    )
    ways.add_argument("--keyframes", action="store_true", help="only keyframes")
    group.add_argument(
        "--max-frames",
        type=values.positive(int),
        metavar="N",
        help="with --fps: at most N frames; if the rate gives more, N spread over the range",
    )
    group.add_argument(
        "--min-frames",
        type=values.positive(int),
        metavar="N",
        help="with --fps: at least N frames; if the rate gives fewer, N spread over the range",
    )
    group.add_argument(
        "--tolerance",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="accept times that are this much early: 0.0005 for times with 3 decimals (default: 0)",
    )
    group.add_argument(
        "--on-corrupt",
        choices=["raise", "skip", "keep"],
        default="raise",
        help="if a frame is damaged: stop, leave it out, or keep what was decoded (default: raise)",
    )


def add_file_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for the files."""
    group = parser.add_argument_group("files")
    group.add_argument("--ext", default="png", help="format of the files: png, jpg, webp, ... (default: png)")
    group.add_argument(
        "--quality", type=int, metavar="1-100", help="quality of JPEG, WebP and similar formats"
    )
    group.add_argument("--compression-level", type=int, metavar="0-9", help="compression level of PNG")
    group.add_argument(
        "--template",
        default="frame_{index:06d}.{ext}",
        help="pattern for file names (default: %(default)s)",
    )
    group.add_argument(
        "--overwrite",
        choices=["error", "skip", "replace"],
        default="error",
        help="if a file exists: stop, keep it and skip its frame, or replace it (default: error)",
    )
    group.add_argument(
        "--workers",
        type=values.positive(int),
        default=4,
        metavar="N",
        help="number of files written at once (default: 4)",
    )


def selection_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """Collect the arguments that select frames."""
    bounds = ("start", "end", "step", "time_range")
    ways = ("indices", "times", "fps", "max_frames", "min_frames", "num_frames", "keyframes")
    given = {name: getattr(arguments, name) for name in (*bounds, *ways)}
    return given | {"tolerance_seconds": arguments.tolerance}


def file_options_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """Collect the arguments for the files."""
    names = ("ext", "template", "quality", "compression_level", "overwrite", "image_format")
    return {name: getattr(arguments, name) for name in names} | {"max_write_workers": arguments.workers}


async def run(arguments: argparse.Namespace) -> None:
    """Write the selected frames, and print where they are."""
    options: dict[str, Any] = {
        **selection_of(arguments),
        **file_options_of(arguments),
        **_pictures.picture_options(arguments),
    }
    bounds = [options.pop(name) for name in ("start", "end", "step")]
    saving = Saving(arguments.directory, bounds[0], bounds[1], bounds[2], part_of(options, SaveOptions))
    async with _common.opened_video(arguments, on_corrupt=arguments.on_corrupt) as (video, progress):
        with progress.frames(await saving.missing(video._requests)) as advance:
            paths = await saving.run(video._requests, progress_cb=advance)
        _common.report(arguments, f"{_common.counted(len(paths), 'frame')} in {arguments.directory}", video)
