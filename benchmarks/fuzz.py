"""Damage files in random ways, and compare what every route gives with what one codec thread gives.

::

    python -m benchmarks.fuzz --cases 2000 --report fuzz.md

A case is a file, some damage, a way to its bytes and a number of codec threads. The same seed and number give
the same case where the same files exist. Child processes with limits run the cases, and try the installed
package, not that of the clone; an editable install has them try the clone's. A case ends in a fault where a
frame, an index or a count is wrong, where an exception is not one of the library's, where it hangs or
crashes, and where it leaves something behind or takes too much memory.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import itertools
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av

from tests.fuzz._edits import from_json
from tests.fuzz._report import FAULTS, Tally, keep, signature
from tests.fuzz._run import Fuzzer, Result
from tests.fuzz._seeds import seeds_of
from tests.fuzz._worker import bytes_of

_KEPT_OF_EACH = 3


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cases", type=int, default=1000, help="how many cases")
    parser.add_argument("--first", type=int, default=0, help="number of the first")
    parser.add_argument("--seed", type=int, default=1, help="each gives other damage")
    parser.add_argument("--only", type=int, nargs="*", help="numbers of the cases to run")
    parser.add_argument("--again", type=Path, nargs="*", help="JSON of kept cases, to run once more")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="child processes")
    parser.add_argument("--seconds", type=float, help="start no case after this long")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds after which a case hangs")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-cases"), help="folder for faulty inputs")
    parser.add_argument(
        "--clips",
        type=Path,
        default=Path(tempfile.gettempdir(), "asyncframes-fuzz-clips"),
        help="folder for the generated clips",
    )
    parser.add_argument("--report", type=Path, help="write the tables here, and JSON beside them")
    parser.add_argument("--made-only", action="store_true", help="damage generated clips only, no real files")
    parser.add_argument(
        "--untrusted", action="store_true", help="open everything under Policy.untrusted(), in a process"
    )
    parser.add_argument("--verbose", action="store_true", help="print every case")
    return parser.parse_args()


def cases(asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield what to run."""
    if asked.again:
        for path in asked.again:
            kept = json.loads(path.read_text())
            plan = f"{kept['seed']}/{kept['case']}"
            yield {"case": kept["case"], "name": kept["name"], "edits": kept["edits"], "plan": plan}
        return
    start = time.monotonic()
    for case in asked.only or itertools.islice(itertools.count(asked.first), asked.cases):
        if asked.seconds is not None and time.monotonic() - start > asked.seconds:
            return
        yield {"case": case}


class _Notes:
    """Prints faults as they occur, and keeps the inputs of the first few of each kind."""

    def __init__(self, asked: argparse.Namespace) -> None:
        self.tally = Tally()
        self._asked = asked
        self._seeds = seeds_of(asked.clips, with_files=not asked.made_only)
        self._start = time.monotonic()

    def __call__(self, result: Result) -> None:
        self.tally.add(result)
        if result.kind in FAULTS or self._asked.verbose or self._asked.only:
            print(f"{result.case} {result.name} ({result.plan}): {signature(result)}", flush=True)
        if result.kind in FAULTS:
            self._keep(result)
        if self.tally.cases % 200 == 0:
            rate = self.tally.cases / (time.monotonic() - self._start)
            print(f"{self.tally.cases} cases, {rate:.1f}/s: {dict(self.tally.kinds)}", flush=True)

    def _keep(self, result: Result) -> None:
        if len(self.tally.groups[signature(result)]) <= _KEPT_OF_EACH and result.name:
            data = bytes_of(self._seeds, result.name, from_json(result.edits))
            keep(result, data, self._asked.keep)
        if self._asked.only or self._asked.again:
            print("\n".join(f"    {text}" for text in result.detail))


def main() -> int:
    """Run, print, and write; 1 where there are faults."""
    asked = arguments()
    fuzzer = Fuzzer(
        seed=asked.seed,
        jobs=asked.jobs,
        timeout_seconds=asked.timeout,
        clips=asked.clips,
        with_files=not asked.made_only,
        is_untrusted=asked.untrusted,
    )
    notes = _Notes(asked)
    start = time.monotonic()
    asyncio.run(fuzzer.run(cases(asked), notes))
    seconds = time.monotonic() - start
    facts = (
        f"Seed {asked.seed}, cases from {asked.first} on, {seconds:.0f} s in {asked.jobs} processes, "
        f"{datetime.datetime.now(datetime.UTC):%d %B %Y}, Python {platform.python_version()}, "
        f"PyAV {av.__version__}, {platform.machine()}."
    )
    text = notes.tally.markdown(facts)
    print(f"\n{text}")
    if asked.report is not None:
        asked.report.write_text(text)
        asked.report.with_suffix(".json").write_text(notes.tally.as_json())
    return int(notes.tally.faults > 0)


if __name__ == "__main__":
    sys.exit(main())
