"""``asyncframes extract-many``: writes frames of every video in a list."""

from __future__ import annotations

import argparse
import asyncio
from contextlib import aclosing
from pathlib import Path

import asyncframes as af
from asyncframes.cli import _common, _options, _pictures, _policy, extract
from asyncframes.cli._arguments import values
from asyncframes.cli._arguments.parser import Commands, new_command
from asyncframes.cli._list import directory_name, read_list
from asyncframes.cli._progress import Progress
from asyncframes.errors import AsyncFramesError

EXAMPLES = """\
  asyncframes extract-many videos.txt frames --fps 1 --ext jpg
  find films -name '*.mp4' -print0 | asyncframes extract-many -0 - frames --keyframes
  asyncframes extract-many videos.txt frames --fps 1 --overwrite skip    (resume an interrupted run)"""


def add_parser(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = new_command(
        commands,
        "extract-many",
        "LIST DIR",
        help_text="write frames of every video in a list",
        examples=EXAMPLES,
    )
    parser.add_argument(
        "list",
        metavar="LIST",
        help="a file with one path or URL per line, each taken literally; - for standard input",
    )
    parser.add_argument(
        "directory",
        metavar="DIR",
        help="parent of one directory per video, named after the video and a hash of its location",
    )
    parser.add_argument(
        "-0", "--null", action="store_true", help="the list is separated by NUL, as find -print0 writes it"
    )
    parser.add_argument(
        "--at-once",
        type=values.positive(int),
        default=4,
        metavar="N",
        help="number of videos processed at once (default: 4)",
    )
    parser.add_argument("--threads", type=values.positive(int), metavar="N", help="threads per decoder")
    extract.add_selection_options(parser)
    _pictures.add_picture_options(parser)
    extract.add_file_options(parser)
    _policy.add_policy_options(parser)
    _options.add_progress_option(parser)
    parser.set_defaults(run=run, interrupted=extract.INTERRUPTED)


async def run(arguments: argparse.Namespace) -> None:
    """Process the list. Print a line for each video that fails, and raise at the end if any failed."""
    videos = await asyncio.to_thread(_listed, arguments)
    files = failed = 0
    with Progress(arguments) as progress:
        results = af.extract_many(
            videos,
            policy=_policy.policy_of(arguments),
            concurrency=arguments.at_once,
            show_progress=progress.is_shown,
            threads=arguments.threads,
            on_corrupt=arguments.on_corrupt,
            **extract.selection_of(arguments),
            **extract.file_options_of(arguments),
            **_pictures.picture_options(arguments),
        )
        async with aclosing(results):
            async for result in results:
                files += len(result.paths)
                failed += result.error is not None
                if result.error is not None:
                    progress.say(f"asyncframes: {result.output_dir}: {_common.said(result.error, arguments)}")
    done = f"{_common.counted(files, 'frame')} of {_common.counted(len(videos) - failed, 'video')}"
    _common.report(arguments, f"{done} in {arguments.directory}")
    if failed:
        raise AsyncFramesError(f"{_common.counted(failed, 'video')} of {len(videos)} failed")


def _listed(arguments: argparse.Namespace) -> list[tuple[str, Path]]:
    """Read the list, and name a directory for each video in it."""
    sources = read_list(arguments.list, is_null_separated=arguments.null)
    return [(source, Path(arguments.directory) / directory_name(source)) for source in sources]
