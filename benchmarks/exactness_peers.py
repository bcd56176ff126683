"""Ask every installed library for frames of the corpus by index, and judge whether they are the right ones.

::

    nox -s exactness_peers
    python -m benchmarks.exactness_peers --peers ours opencv --out table.md

Frame i is the i-th of a sequential decode by the package of this clone. Each library reads each file in a
process of its own, and is asked for frames one at a time in shuffled order: all frames of a short file, some
of a long one. This program installs nothing: it leaves out libraries that are missing, and the table says so.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import asyncframes as af
from benchmarks.peers import ASKED_BY_INDEX, title_of
from tests.support.exact.corpus import CorpusFile, corpus_files
from tests.support.exact.exactness import CONCEALED, shuffled_sample
from tests.support.exact.same_frame import FOREIGN, NEIGHBOURS, Grid, judge, reduced

RESULTS = Path(__file__).parent / "results" / "exactness.md"
WORKER = [sys.executable, "-m", "benchmarks.worker"]
COMMAND = "nox -s exactness_peers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one library gave for one file.

    Attributes
    ----------
    asked
        How many frames were asked for.
    failure
        Why there are no frames at all: not opened, crashed, timed out.
    count
        Number of frames it claims.
    wrong
        Each index that gave another frame without an error, and which frame that was.
    errors
        Each index that raised an error, and the error.
    upright
        Whether the display matrix was applied, or there is none.
    farthest, nearest_foreign
        The largest average distance, in levels, of an image from the frame that it is taken to be; and the
        smallest distance from any frame of an image that is taken to be none.
    """

    asked: int
    failure: str | None = None
    count: int | str | None = None
    wrong: dict[int, int | None] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    upright: bool = True
    farthest: float = 0.0
    nearest_foreign: float = float("inf")

    @property
    def is_right(self) -> bool:
        return not (self.failure or self.wrong or self.errors)

    def cell(self, file: CorpusFile) -> str:
        """Return the text of a table's cell."""
        if self.failure:
            return self.failure
        parts = [] if self.wrong or self.errors else ["right"]
        parts += [f"**{len(self.wrong)} of {self.asked} wrong**"] if self.wrong else []
        parts += [f"{len(self.errors)} of {self.asked} errors"] if self.errors else []
        parts += [f"count {self.count}"] if self.count != file.frame_count else []
        parts += [] if self.upright else ["not upright"]
        return ", ".join(parts)


async def sequential_frames(file: CorpusFile, indices: set[int]) -> dict[int, Grid]:
    """Decode a file from its start, and return some of the frames, scaled down."""
    async with af.open_video(file.path, on_corrupt="keep") as video:
        return {frame.index: reduced(frame.image) async for frame in video.frames() if frame.index in indices}


def run(
    peer: str, file: CorpusFile, indices: list[int], frames: dict[int, Grid], scratch: Path, timeout: float
) -> Outcome:
    """Have one library read one file, unless `scratch` has its answer, and judge its frames."""
    answer = scratch / f"{file.path.name}.{peer}.json"
    images = answer.with_suffix(".npz")
    if not answer.exists():
        answer.write_text(json.dumps(ask(peer, file, indices, images, timeout)))
    said = json.loads(answer.read_text())
    if "failure" in said:
        return Outcome(asked=len(indices), failure=said["failure"])
    with np.load(images) as stored:
        given = {int(index): stored[index] for index in stored.files}
    verdict = judge(given, frames, concealed=file.path.name in CONCEALED)
    return Outcome(
        asked=len(indices),
        count=said["count"],
        errors=said["errors"],
        wrong=verdict.wrong,
        upright=verdict.upright,
        farthest=verdict.farthest,
        nearest_foreign=verdict.nearest_foreign,
    )


def ask(peer: str, file: CorpusFile, indices: list[int], images: Path, timeout: float) -> dict[str, Any]:
    """Have one library read one file in a new process."""
    asked = images.with_suffix(".asked")
    asked.write_text(json.dumps({"indices": indices, "pts": file.truth["frames"]["pts"]}))
    command = [*WORKER, "ask", peer, str(file.path), str(asked), str(images)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        return {"failure": f"no end within {timeout:g} s"}
    if done.returncode:
        return {"failure": f"crashed ({done.returncode})"}
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said if said["opened"] else {"failure": "not opened", "error": said["error"]}


def usable() -> tuple[dict[str, str], dict[str, str]]:
    """Return the versions of the libraries that can be imported, and why the others cannot."""
    versions, absent = {}, {}
    for peer in ASKED_BY_INDEX:
        done = subprocess.run([*WORKER, "package", peer], capture_output=True, text=True)
        if done.returncode:
            absent[peer] = next(iter(done.stderr.strip().splitlines()[-1:]), "no reason given")
        else:
            versions[peer] = json.loads(done.stdout)["version"]
    return versions, absent


def measure(
    files: list[CorpusFile], peers: list[str], most: int, scratch: Path, timeout: float
) -> dict[str, list[tuple[CorpusFile, Outcome]]]:
    """Have every library read every file."""
    outcomes: dict[str, list[tuple[CorpusFile, Outcome]]] = {peer: [] for peer in peers}
    for file in files:
        indices = shuffled_sample(file.frame_count, file.path.name, most)
        needed = {index + offset for index in indices for offset in (0, *NEIGHBOURS)}
        frames = asyncio.run(sequential_frames(file, needed))
        for peer in peers:
            outcomes[peer].append((file, run(peer, file, indices, frames, scratch, timeout)))
            outcome = outcomes[peer][-1][1]
            margins = f"within {outcome.farthest:.2f}, others from {outcome.nearest_foreign:.2f}"
            said = f"{file.path.name}: {peer}: {outcome.cell(file)}; {margins}"
            print(said, file=sys.stderr, flush=True)
    return outcomes


def summary(
    outcomes: dict[str, list[tuple[CorpusFile, Outcome]]], versions: dict[str, str], absent: dict[str, str]
) -> str:
    """Return a table with a row for each library, which counts the files by what happened."""
    lines = [
        "| library | version | opened | wholly right | a wrong frame, silently | errors | count right |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for peer, rows in outcomes.items():
        found = [outcome for _, outcome in rows]
        numbers = [
            sum(outcome.failure is None for outcome in found),
            sum(outcome.is_right for outcome in found),
            sum(bool(outcome.wrong) for outcome in found),
            sum(bool(outcome.errors or outcome.failure) for outcome in found),
            sum(outcome.count == file.frame_count for file, outcome in rows),
        ]
        lines.append(f"| {title_of(peer)} | {versions[peer]} | {' | '.join(map(str, numbers))} |")
    lines += [f"| {title_of(peer)} | not usable here: {why} | | | | | |" for peer, why in absent.items()]
    return "\n".join(lines)


def details(outcomes: dict[str, list[tuple[CorpusFile, Outcome]]]) -> str:
    """Return a table with a row for each file, and a column for each library."""
    lines = [
        f"| file | frames | {' | '.join(title_of(peer) for peer in outcomes)} |",
        f"|---|--:|{'---|' * len(outcomes)}",
    ]
    for rows in zip(*outcomes.values(), strict=True):
        file = rows[0][0]
        cells = [outcome.cell(file) for _, outcome in rows]
        lines.append(f"| `{file.path.name}` | {file.frame_count} | {' | '.join(cells)} |")
    return "\n".join(lines)


def report(table: str, rows: str, files: int, most: int) -> str:
    """Return the page: the tables, and what was measured, when and where."""
    today = datetime.datetime.now(datetime.UTC).date()
    return f"""\
# Frames by index, library by library

{files} playable files of the corpus; measured {today} with `{COMMAND}`, Python {platform.python_version()} on
{platform.system()} {platform.machine()} with {os.cpu_count()} CPUs.

Each library decodes every frame of files with up to {most} frames, and {most} frames of longer
files, one at a time in shuffled order. An image counts as frame *i* if, of frames *i* - 2 to *i* + 2
of a sequential decode, frame *i* is the closest, and differs by at most {FOREIGN:g} level of 255 on
average. Neighbours that show the same picture count as one. Colours, orientation, size and the
concealment of damage are not compared here.

"A wrong frame, silently" counts files for which at least one index gave another picture and no error.
"Errors" counts files that did not open, or for which at least one index raised an error. Some files
are in both counts.

{table}

asyncframes is opened with `on_corrupt="keep"`, because the others keep damaged frames too. The first
PyAV loop knows only the rate. The second one gets the pts of every frame beforehand.

{rows}
"""


def main() -> None:
    """Measure, write the results and print the summary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", help="names of files of the corpus; all playable ones by default")
    parser.add_argument("--peers", nargs="+", choices=list(ASKED_BY_INDEX), default=list(ASKED_BY_INDEX))
    parser.add_argument(
        "--frames", type=int, default=32, help="how many frames of a file to ask for, at most"
    )
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds for one library and file")
    parser.add_argument("--scratch", type=Path, help="folder that keeps answers, so that a run can go on")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the results are written")
    arguments = parser.parse_args()
    files = [
        file
        for file in corpus_files()
        if file.is_playable and (not arguments.names or file.path.name in arguments.names)
    ]
    if not files:
        sys.exit("the corpus of real files (../shared/corpus) is not beside this clone")
    versions, absent = usable()
    peers = [peer for peer in arguments.peers if peer in versions]
    with tempfile.TemporaryDirectory() as folder:
        scratch = arguments.scratch or Path(folder)
        scratch.mkdir(parents=True, exist_ok=True)
        outcomes = measure(files, peers, arguments.frames, scratch, arguments.timeout)
    table = summary(outcomes, versions, absent)
    arguments.out.parent.mkdir(exist_ok=True)
    arguments.out.write_text(report(table, details(outcomes), len(files), arguments.frames))
    print(table)


if __name__ == "__main__":
    main()
