"""``asyncframes table``: writes one row per frame, with its times, as CSV, JSON or Parquet."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO, TypeAlias

import numpy as np

import asyncframes as af
from asyncframes.cli import _common, _options, _outputs, _policy
from asyncframes.cli._arguments.parser import Commands, new_command
from asyncframes.errors import MissingExtraError

EXAMPLES = """\
  asyncframes table film.mp4
  asyncframes table https://example.org/film.mp4 --format json
  asyncframes table film.mkv -o film.parquet"""

COLUMNS = ("index", "pts", "pts_seconds", "duration_seconds", "is_keyframe")
FORMATS = ("csv", "json", "parquet")

# Rows are converted to Python numbers this many at a time, to bound the memory.
_AT_ONCE = 4096

Row: TypeAlias = tuple[int, int | None, float | None, float | None, bool]


def add_parser(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = new_command(
        commands, "table", "SOURCE", help_text="list every frame with its times", examples=EXAMPLES
    )
    _options.add_source_options(parser)
    parser.add_argument(
        "--format",
        choices=FORMATS,
        help="format of the table (default: from the file's extension, otherwise csv); parquet needs pyarrow",
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="write to this file (default: stdout)"
    )
    _policy.add_policy_options(parser)
    _options.add_progress_option(parser)
    parser.set_defaults(run=run)


async def run(arguments: argparse.Namespace) -> None:
    """Find the frame table and write it."""
    write = await asyncio.to_thread(_writer, arguments)
    async with _common.opened_video(arguments) as (video, _):
        table = await video.frame_table()
    await asyncio.to_thread(write, table, arguments.output)


def _writer(arguments: argparse.Namespace) -> Callable[[af.FrameTable, Path | None], None]:
    output = arguments.output
    ending = "" if output is None else output.suffix.lower().removeprefix(".")
    kind = arguments.format or (ending if ending in FORMATS else "csv")
    if kind != "parquet":
        return lambda table, path: _write_text(csv_lines(table) if kind == "csv" else json_lines(table), path)
    if output is None and sys.stdout.isatty():
        raise argparse.ArgumentError(None, "argument --format: parquet is binary: name a file with -o")
    _import_parquet()
    return _write_parquet


def csv_lines(table: af.FrameTable) -> Iterator[str]:
    """Write a table as CSV.

    Yields
    ------
    str
        A line. Unknown values are empty.
    """
    yield ",".join(COLUMNS) + "\n"
    for *numbers, is_keyframe in _rows(table):
        texts = ["" if number is None else repr(number) for number in numbers]
        yield f"{','.join(texts)},{'true' if is_keyframe else 'false'}\n"


def json_lines(table: af.FrameTable) -> Iterator[str]:
    """Write a table as a JSON array of objects, one per frame.

    Yields
    ------
    str
        A part of the text. Unknown values are null.
    """
    before = "[\n"
    for row in _rows(table):
        yield f"{before}{json.dumps(dict(zip(COLUMNS, row, strict=True)))}"
        before = ",\n"
    yield "\n]\n" if len(table) else "[]\n"


def _rows(table: af.FrameTable) -> Iterator[Row]:
    for start in range(0, len(table), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        columns = (
            table.pts[part].tolist(),
            table.pts_seconds[part].tolist(),
            table.duration_seconds[part].tolist(),
            table.is_keyframe[part].tolist(),
        )
        for index, (pts, seconds, duration, is_keyframe) in enumerate(zip(*columns, strict=True), start):
            known_pts = None if pts == af.NO_TIMESTAMP else pts
            yield index, known_pts, _known(seconds), _known(duration), is_keyframe


def _known(number: float) -> float | None:
    return number if number == number else None


def _write_text(lines: Iterator[str], path: Path | None) -> None:
    if path is None:
        _write_lines(lines, sys.stdout)
        return
    with (
        _outputs.written(path, "replace") as temporary,
        temporary.open("x", encoding="ascii", newline="") as file,
    ):
        _write_lines(lines, file)


def _write_lines(lines: Iterator[str], file: TextIO) -> None:
    file.writelines(lines)
    file.flush()


def _write_parquet(table: af.FrameTable, path: Path | None) -> None:
    data = parquet_bytes(table)
    if path is None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    _outputs.write(path, data, "replace")


def parquet_bytes(table: af.FrameTable) -> bytes:
    """Return a table as a Parquet file. Unknown values are null."""
    arrow, parquet = _import_parquet()
    columns = {
        "index": arrow.array(np.arange(len(table))),
        "pts": arrow.array(table.pts, mask=table.pts == af.NO_TIMESTAMP),
        "pts_seconds": arrow.array(table.pts_seconds, mask=np.isnan(table.pts_seconds)),
        "duration_seconds": arrow.array(table.duration_seconds, mask=np.isnan(table.duration_seconds)),
        "is_keyframe": arrow.array(table.is_keyframe),
    }
    sink = arrow.BufferOutputStream()
    parquet.write_table(arrow.table(columns), sink)
    return bytes(sink.getvalue())


def _import_parquet() -> tuple[Any, Any]:
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ImportError as exc:
        raise MissingExtraError(
            "--format parquet needs pyarrow: pip install 'asyncframes-video[parquet]'", extra="parquet"
        ) from exc
    return arrow, parquet
