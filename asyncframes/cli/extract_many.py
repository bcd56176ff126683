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
from asyncframes.cli._progress import Progress
from asyncframes.cli._sources.addresses import Addresses
from asyncframes.cli._sources.lists import addresses_of, directory_name
from asyncframes.errors import AsyncFramesError
from asyncframes.sources import SourceLike

EXAMPLES = """\
  asyncframes extract-many a.mp4 b.mp4 frames --fps 1 --ext jpg
  asyncframes extract-many 'films/**/*.mp4' frames --keyframes
  asyncframes extract-many films/ s3://bucket/films/ frames --num-frames 16
  asyncframes extract-many @videos.txt frames --fps 1 --overwrite skip    (resume an interrupted run)
  find films -name '*.mp4' -print0 | asyncframes extract-many -0 @- frames --keyframes"""


def add_parser(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = new_command(
        commands,
        "extract-many",
        "VIDEO [VIDEO ...] DIR",
        help_text="write frames of many videos",
        examples=EXAMPLES,
    )
    parser.add_argument(
        "videos",
        metavar="VIDEO",
        nargs="+",
        help="a path, a URL, a directory, a pattern in quotes, or @LIST: a file with one path or URL per "
        "line, each taken literally; @- for standard input",
    )
    parser.add_argument(
        "directory",
        metavar="DIR",
        help="parent of one directory per video, named after the video and a hash of its location",
    )
    parser.add_argument(
        "-0", "--null", action="store_true", help="lists are separated by NUL, as find -print0 writes them"
    )
    parser.add_argument(
        "--at-once",
        type=values.positive(int),
        default=4,
        metavar="N",
        help="number of videos processed at once (default: 4)",
    )
    _options.add_opening_options(parser)
    extract.add_selection_options(parser)
    _pictures.add_picture_options(parser)
    extract.add_file_options(parser)
    _policy.add_policy_options(parser)
    _options.add_progress_option(parser)
    parser.set_defaults(run=run, interrupted=extract.INTERRUPTED, gather=_gather)


def _gather(arguments: argparse.Namespace, more: list[str]) -> None:
    """Take words after options too: the last one of all is the directory."""
    words = [*arguments.videos, arguments.directory, *more]
    arguments.videos, arguments.directory = words[:-1], words[-1]


async def run(arguments: argparse.Namespace) -> None:
    """Process the videos. Print a line for each video that fails, and raise at the end if any failed."""
    policy = _policy.policy_of(arguments)
    videos = await asyncio.to_thread(_listed, arguments, policy)
    files = failed = 0
    with Progress(arguments) as progress:
        results = af.extract_many(
            videos,
            policy=policy,
            concurrency=arguments.at_once,
            show_progress=progress.is_shown,
            **_common.opening_options(arguments),
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


def _listed(arguments: argparse.Namespace, policy: af.Policy | None) -> list[tuple[SourceLike, Path]]:
    """Find the videos, and name a directory for each."""
    addresses = Addresses.of(arguments, policy)
    found = addresses_of(arguments.videos, addresses, is_null_separated=arguments.null)
    addresses = Addresses.of(arguments, policy, among=found)
    parent = Path(arguments.directory)
    return [(addresses.source(address), parent / directory_name(address)) for address in found]
