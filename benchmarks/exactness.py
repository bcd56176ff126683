"""Print how every file of the corpus comes out: in sequence, by index, and counted, against the truth files.

A frame is right in sequence where its picture has the MD5, in the decoder's own pixel format, that the ffmpeg
program found at that place. It is right by index where it is bit for bit the one in sequence: every frame of
files up to 64 frames, 64 frames of longer ones, in shuffled order.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

# Behind the installed package, which is what is measured.
sys.path.append(str(Path(__file__).parents[1]))

from tests._corpus import CorpusFile, corpus_files
from tests._exactness import Exactness, measure, note

Row = tuple[CorpusFile, Exactness]

HEADER = (
    "| file | what | frames | sequential | times | by index | count | |\n|---|---|--:|--:|--:|--:|--:|---|"
)


def row(file: CorpusFile, found: Exactness) -> str:
    """Lay one file out: how many are right, and of how many where that is not all."""
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


def main() -> int:
    """Measure and print; 1 where a file without an explanation disagrees."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", help="names of files of the corpus; all playable ones by default")
    names = set(parser.parse_args().names)
    files = [file for file in corpus_files() if file.is_playable and (not names or file.path.name in names)]
    if not files:
        print("the corpus of real files (../shared/corpus) is not beside this checkout", file=sys.stderr)
        return 2
    rows: list[Row] = []
    print(HEADER)
    for file in files:
        rows.append((file, asyncio.run(measure(file))))
        print(row(*rows[-1]), flush=True)
    print(f"\n{summary(rows)}")
    return int(any(not found.is_exact(file) and not note(file) for file, found in rows))


if __name__ == "__main__":
    sys.exit(main())
