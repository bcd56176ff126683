"""Compare the frames of every file beside the clone with those of one codec thread, and with the truth files.

::

    python -m benchmarks.exactness clip.mp4

It measures the package of the clone that it is run from.

The first table compares each route to the frames (in sequence, by index in jumping order, by ranges,
by steps, in batches, alone) with a decode of the whole stream by PyAV with one thread, in each mode and
with each number of threads. A cell counts the differences, which are listed below the table.

In the second table a frame is right in sequence if its picture has the MD5, in the decoder's own pixel
format, that the ffmpeg program found at that place. It is right by index if it equals the one in sequence in
every bit: all frames of files with up to 64 frames, 64 frames of longer ones, in shuffled order.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from collections.abc import Callable
from pathlib import Path

from tests.support.exact.corpus import CorpusFile, corpus_files
from tests.support.exact.exactness import (
    MODES,
    THREADS,
    Exactness,
    Routed,
    compare_routes,
    files_beside,
    measure,
    note,
)
from tests.support.isolation import decoding_in

Row = tuple[CorpusFile, Exactness]

HEADER = (
    "| file | what | frames | sequential | times | by index | count | |\n|---|---|--:|--:|--:|--:|--:|---|"
)


def row(file: CorpusFile, found: Exactness) -> str:
    """Return the row of one file: how many frames are right, and of how many unless all are."""
    name = file.path.name.replace("|", r"\|")
    what = f"{file.truth['container'].split(',')[0]} {file.truth['codec']}"
    cells = [
        f"`{name}`",
        what,
        str(found.frames),
        _of(found.same_pictures, file.frame_count),
        _of(found.same_pts, file.frame_count),
        _of(found.same_by_index, found.asked),
        str(found.count) if found.count == file.frame_count else f"**{found.count}**",
        note(file),
    ]
    return f"| {' | '.join(cells)} |"


def _of(right: int, asked: int) -> str:
    return f"{right}" if right == asked else f"**{right} of {asked}**"


def summary(rows: list[Row]) -> str:
    """Count the files that are right in each respect."""

    def files(is_right: Callable[[CorpusFile, Exactness], bool]) -> str:
        return f"{sum(is_right(file, found) for file, found in rows)} of {len(rows)}"

    return "\n".join([
        "| | files |",
        "|---|--:|",
        f"| number of frames | {files(lambda file, found: found.frames == file.frame_count)} |",
        f"| sequential pictures | {files(lambda file, found: found.same_pictures == file.frame_count)} |",
        f"| times | {files(lambda file, found: found.same_pts == file.frame_count)} |",
        f"| by index | {files(lambda _, found: found.same_by_index == found.asked)} |",
        f"| count without decoding | {files(lambda file, found: found.count == file.frame_count)} |",
    ])  # fmt: skip


def routes_row(path: Path, found: Routed) -> str:
    """Return the row of one file: for each mode, how many differences each number of threads has."""
    truth = found.truth
    cells = [
        f"`{path.parent.name}/{path.name}`".replace("|", r"\|"),
        "no stream" if truth is None else f"{truth.container.split(',')[0]} {truth.codec}",
        str(len(truth or ())),
        "yes" if truth is not None and truth.is_damaged else "",
        *(_worst(found, mode) for mode in MODES),
    ]
    return f"| {' | '.join(cells)} |"


def _worst(found: Routed, mode: str) -> str:
    counts = [(len(texts), threads) for (asked, threads), texts in found.differences.items() if asked == mode]
    wrong = [f"{count} ({threads or 'default'})" for count, threads in counts if count]
    return f"**{', '.join(wrong)}**" if wrong else "right"


def print_routes(paths: list[Path], threads: tuple[int | None, ...], shown: int) -> bool:
    """Print how files come out by every route, and return whether all are right."""
    print("| file | what | frames | damaged | raise | keep | skip |\n|---|---|--:|---|---|---|---|")
    wrong: list[tuple[Path, Routed]] = []
    for path in paths:
        found = asyncio.run(compare_routes(path, threads=threads))
        print(routes_row(path, found), flush=True)
        if not found.is_exact:
            wrong.append((path, found))
    for path, found in wrong:
        print(f"\n{path.name}")
        for (mode, count), texts in found.differences.items():
            for text in texts[:shown]:
                print(f"- {mode}, threads={count}: {text}")
            if len(texts) > shown:
                print(f"- {mode}, threads={count}: {len(texts) - shown} more")
    print(f"\n{len(paths) - len(wrong)} of {len(paths)} files are right by every route\n")
    return not wrong


def print_truths(files: list[CorpusFile]) -> bool:
    """Print how files agree with their truth files, and return whether all do that should."""
    rows: list[Row] = []
    print(HEADER)
    for file in files:
        rows.append((file, asyncio.run(measure(file))))
        print(row(*rows[-1]), flush=True)
    print(f"\n{summary(rows)}")
    return all(found.is_exact(file) or note(file) for file, found in rows)


def main() -> int:
    """Measure and print; return 1 if a file differs without an explanation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", help="names of files; all by default")
    parser.add_argument("--threads", type=int, nargs="*", help="codec threads, 0 for the default number")
    parser.add_argument("--show", type=int, default=5, help="how many differences to print for each mode")
    parser.add_argument("--only", choices=["routes", "truths"], help="print one of the two tables")
    parser.add_argument(
        "--isolation", choices=["none", "process"], default="none", help="decode in threads, or in a process"
    )
    asked = parser.parse_args()
    logging.getLogger("asyncframes").setLevel(logging.ERROR)
    names = set(asked.names)
    paths = [path for path in files_beside() if not names or path.name in names]
    if not paths:
        print("the real files (../shared) are not beside this clone", file=sys.stderr)
        return 2
    threads = THREADS if asked.threads is None else tuple(count or None for count in asked.threads)
    files = [file for file in corpus_files() if file.is_playable and file.path in paths]
    with decoding_in(asked.isolation):
        right = asked.only == "truths" or print_routes(paths, threads, asked.show)
        if files and asked.only != "routes":
            right &= print_truths(files)
    return int(not right)


if __name__ == "__main__":
    sys.exit(main())
