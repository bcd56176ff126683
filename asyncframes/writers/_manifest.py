"""What a directory says of the runs that wrote frames into it. All calls block."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asyncframes._model.quoting import quoted
from asyncframes._runtime.temporaries import temporary_beside
from asyncframes._runtime.whole_files import alone_in, write_whole
from asyncframes.errors import FrameMismatchError

__all__ = ["MANIFEST_NAME", "Facts", "Manifest", "Run"]

MANIFEST_NAME = ".asyncframes.json"
"""Name of the file in a directory of frames."""

Facts = Mapping[str, Any]
"""What made frames what they are, as plain JSON values."""

_VERSION = 1
_MOST_BYTES = 1 << 20
_MOST_RUNS = 100

# Linux stamps files with a clock that ticks every 1 to 10 ms.
_WAIT_SECONDS = 0.001
_MOST_WAITS = 30


@dataclass(frozen=True, slots=True)
class Run:
    """Frames of one video, made in one way.

    Attributes
    ----------
    naming
        Template of the file names.
    facts
        What made the frames what they are.
    since_ns
        When it began, on the clock of the file system: files of this naming that are
        younger are its, until the next run of this naming began.
    """

    naming: str
    facts: Facts
    since_ns: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Manifest:
    """The runs that wrote into a directory, the oldest first."""

    runs: tuple[Run, ...] = ()

    @classmethod
    def load(cls, directory: Path) -> Manifest:
        """Read what a directory says; nothing where that is missing or malformed.

        Raises
        ------
        OSError
            It cannot be read.
        """
        try:
            with (directory / MANIFEST_NAME).open("rb") as file:
                said = json.loads(file.read(_MOST_BYTES))
            if said["version"] != _VERSION:
                return cls()
            return cls(
                tuple(Run(run["naming"], dict(run["facts"]), int(run["since_ns"])) for run in said["runs"])
            )
        except (FileNotFoundError, NotADirectoryError, KeyError, TypeError, ValueError, RecursionError):
            return cls()

    def check(self, run: Run, path: Path, *, index: int | None) -> None:
        """Make sure that a file is one of a run.

        Raises
        ------
        FrameMismatchError
            It is another's, or it is not known whose.
        OSError
            It cannot be looked at.
        """
        written_ns = path.stat().st_mtime_ns
        before = [one for one in self.runs if one.naming == run.naming and one.since_ns <= written_ns]
        if not before or before[-1].facts != run.facts:
            why = (
                _difference(before[-1].facts, run.facts) if before else "it is not known of which video it is"
            )
            message = (
                f"{path} is there already, and {why}: overwrite='skip' keeps only frames that this request "
                "would make; use another directory, or overwrite='replace'"
            )
            raise FrameMismatchError(message, index=index, path=str(path))

    @classmethod
    def claim(cls, directory: Path, run: Run) -> Manifest:
        """Write down that frames of a run begin, unless it was the last of its naming.

        Returns
        -------
        Manifest
            What the directory says then.

        Raises
        ------
        OSError
            The file system refused.
        """
        with alone_in(directory):
            manifest = cls.load(directory)
            runs = manifest.runs
            if next((one for one in reversed(runs) if one.naming == run.naming), None) == run:
                return manifest
            begun = Run(run.naming, run.facts, _now_ns(directory))
            kept = [*runs, begun][-_MOST_RUNS:]
            said = [{"naming": one.naming, "since_ns": one.since_ns, "facts": one.facts} for one in kept]
            text = json.dumps({"version": _VERSION, "runs": said}, indent=1)
            write_whole(directory / MANIFEST_NAME, text.encode())
            return cls(tuple(kept))


def _difference(there: Facts, here: Facts) -> str:
    """Name the first fact that differs."""
    name = next(name for name in [*here, *there] if there.get(name) != here.get(name))
    was, now = (quoted(facts.get(name), longest=80) for facts in (there, here))
    return f"its {name} was {was} and is {now} now"


def _now_ns(directory: Path) -> int:
    """Tell the time by the clock of a file system, which may be another machine's, as its next tick begins.

    Files that were written before are then older than what is told. A clock that ticks only now and then is
    not waited for.
    """
    path = temporary_beside(directory / MANIFEST_NAME)
    try:
        path.touch()
        before = now = path.stat().st_mtime_ns
        for _ in range(_MOST_WAITS):
            if now != before:
                break
            time.sleep(_WAIT_SECONDS)
            path.touch()
            now = path.stat().st_mtime_ns
        return now
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)
