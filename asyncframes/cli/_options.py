"""Options that several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path

from platformdirs import user_cache_path

from asyncframes.cli._arguments.values import header, positive


def add_source_options(parser: argparse.ArgumentParser) -> None:
    """Add SOURCE and the options for opening it."""
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="a path, a URL, - for standard input, or supervisely://VIDEO_ID (SERVER_ADDRESS, API_TOKEN)",
    )
    add_opening_options(parser)


def add_opening_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for opening sources."""
    group = parser.add_argument_group("source")
    group.add_argument(
        "--header",
        type=header,
        action="append",
        default=[],
        metavar="'NAME: VALUE'",
        help="send this header with each HTTP request; may be repeated",
    )
    group.add_argument(
        "--skip-signature",
        action="store_true",
        help="read s3://, gs:// and az:// without credentials, as public buckets allow",
    )
    group.add_argument(
        "--timeout",
        type=positive(float),
        default=60.0,
        metavar="SECONDS",
        help="fail if no byte arrives for this long (default: 60)",
    )
    group.add_argument(
        "--stream", type=int, metavar="N", help="index of the stream (default: the first with video)"
    )
    group.add_argument("--threads", type=positive(int), metavar="N", help="number of threads of each decoder")
    group.add_argument(
        "--allow-container",
        action="append",
        default=[],
        dest="allow_containers",
        metavar="NAME",
        help="allow one more container, by the name of FFmpeg's demuxer; may be repeated",
    )
    group.add_argument(
        "--max-table-frames",
        type=positive(int),
        metavar="N",
        help="refuse videos of more than N frames (default: 1,048,576)",
    )
    folder = user_cache_path("asyncframes") / "tables"
    group.add_argument(
        "--table-cache",
        type=Path,
        default=folder,
        metavar="DIR",
        help=f"folder that stores frame tables, up to 256 MiB (default: {folder})".replace("%", "%%"),
    )
    group.add_argument(
        "--no-table-cache",
        action="store_const",
        const=None,
        dest="table_cache",
        help="do not store frame tables",
    )


def add_range_options(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add --start and --end."""
    group = parser.add_argument_group("which frames")
    group.add_argument(
        "--start", type=int, metavar="I", help="first frame, from 0; negative counts from the end"
    )
    group.add_argument(
        "--end", type=int, metavar="I", help="last frame, inclusive; negative counts from the end"
    )
    return group


def add_progress_option(parser: argparse.ArgumentParser) -> None:
    """Add --progress and --no-progress."""
    parser.add_argument(
        "--progress",
        action=argparse.BooleanOptionalAction,
        help="show a progress bar (default: when stderr is a terminal)",
    )
