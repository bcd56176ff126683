"""Measure what frames cost by every common way, in time, bytes and memory.

::

    nox -s bench
    python -m benchmarks.bench_frames --only hd scattered --rounds 5

It measures the asyncframes of the clone that it is run from. Each contestant of a workload runs in a process
of its own, all in turn for some rounds; the first round only warms up. Before anything is timed, the frames
are compared. Results go to ``benchmarks/results``: ``frames.json`` has one entry for each workload, which a
run replaces if it measures that workload, and ``frames.md`` and the plots are made from it. A contestant that
is not installed is left out, and the report says so. Supervisely's functions and torchcodec 0.13 run in
environments of their own, whose interpreters SUPERVISELY_SDK_PYTHON and TORCHCODEC_CPU_PYTHON name.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from asyncframes._runtime.threads import shared_executor
from benchmarks.contest import facts, store
from benchmarks.contest.contests import Measured, run_contest, run_probe
from benchmarks.contest.media import Media
from benchmarks.contest.plots import draw
from benchmarks.contest.report import report
from benchmarks.contest.running import present
from benchmarks.contest.workloads import QUICK, Sizes, workloads
from benchmarks.peers import CONTESTANTS
from benchmarks.probes import probes

RESULTS = Path(__file__).parent / "results"


class Run:
    """One run of the command.

    Parameters
    ----------
    arguments
        The parsed command line.
    folder
        The folder where videos are made.
    """

    def __init__(self, arguments: argparse.Namespace, folder: Path) -> None:
        self._arguments = arguments
        self._sizes = QUICK if arguments.quick else Sizes()
        self._media = Media(folder, self._sizes, arguments.media)
        self._workloads = workloads(self._sizes)
        self._probes = probes(self._sizes)
        self.order = [*self._workloads, *self._probes]
        self._versions, self._absent = present(arguments.contestants)
        for name, why in self._absent.items():
            self._say(f"{name} is left out: {why}")

    def wanted(self) -> list[str]:
        """Return the workloads to measure; ``length`` stands for all lengths."""
        wanted = self._arguments.only or self.order
        return [key for key in self.order if key in wanted or key.partition(" ")[0] in wanted]

    def measure(self, key: str) -> store.Entry:
        """Measure one workload or probe."""
        busy = facts.load()
        self._say(f"{key}, load {busy}")
        return store.entry(
            self._measured(key),
            date=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            rounds=self._arguments.rounds,
            load=busy,
            machine=facts.machine(),
            versions=self._versions,
            command=_command(),
            executor_threads=_executor_threads(),
        )

    def _measured(self, key: str) -> Measured:
        rounds = self._arguments.rounds
        if key in self._probes:
            probe = self._probes[key]
            clips = {name: self._media.get(variant.media) for name, variant in probe.variants.items()}
            return run_probe(probe, clips, rounds, self._say)
        workload = self._workloads[key]
        measured = run_contest(
            workload, key, self._media.get(workload.media), list(self._versions), rounds, self._say
        )
        return measured.with_absent(self._absent)

    def _say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


def _command() -> str:
    """Return the command line, without the folders of files."""
    arguments = [Path(argument).name if "/" in argument else argument for argument in sys.argv[1:]]
    return shlex.join(["python", "-m", "benchmarks.bench_frames", *arguments])


def _executor_threads() -> int:
    return shared_executor().max_threads


def publish(entries: dict[str, store.Entry], order: list[str], folder: Path) -> str:
    """Write results, tables and plots."""
    store.write(folder / "frames.json", entries)
    text = report(entries, order, draw(entries, order, folder))
    (folder / "frames.md").write_text(text)
    return text


def parsed() -> argparse.Namespace:
    known = [*{key.partition(" ")[0]: None for key in workloads(Sizes())}, *probes(Sizes())]
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    add = parser.add_argument
    everyone = list(CONTESTANTS)
    add("--only", nargs="+", metavar="WORKLOAD", choices=known, help=f"of {', '.join(known)}")
    add(
        "--contestants",
        nargs="+",
        metavar="NAME",
        choices=everyone,
        default=everyone,
        help=f"of {', '.join(everyone)}",
    )
    add("--rounds", type=int, default=5, help="rounds to count, after one warm-up (default: 5)")
    add("--media", type=Path, help="a long video of constant rate to use as the long file")
    add("--scratch", type=Path, help="folder that keeps the generated videos, some 1.2 GB")
    add("--out", type=Path, help=f"folder for the results (default: {RESULTS.name})")
    add("--json", type=Path, help="write the figures of this run here too")
    add("--quick", action="store_true", help="use tiny sizes, to try it out; results go to --out only")
    return parser.parse_args()


def main() -> None:
    """Measure, write the results after each workload, and print the report."""
    arguments = parsed()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.scratch or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        out = arguments.out or (Path(temporary, "results") if arguments.quick else RESULTS)
        run = Run(arguments, folder)
        entries: dict[str, Any] = store.read(out / "frames.json")
        measured = {}
        text = ""
        for key in run.wanted():
            entries[key] = measured[key] = run.measure(key)
            text = publish(entries, run.order, out)
        print(text)
    if arguments.json:
        arguments.json.write_text(json.dumps(measured, indent=1))


if __name__ == "__main__":
    main()
