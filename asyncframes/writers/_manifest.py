"""The manifest of a directory: which runs wrote frames into it. All calls block."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from asyncframes._model.quoting import quoted
from asyncframes._runtime.temporaries import temporary_beside
from asyncframes._runtime.whole_files import alone_in, write_whole
from asyncframes.errors import FrameMismatchError

__all__ = ["MANIFEST_NAME", "Facts", "Finished", "Manifest", "Run"]

MANIFEST_NAME = ".asyncframes.json"
"""Name of the manifest file in a directory of frames."""

Facts = Mapping[str, Any]
"""The source and options that determine the frames, as plain JSON values."""

_VERSION = 1
_MOST_BYTES = 1 << 20
_MOST_RUNS = 100
# Of the latest runs, with names of so many characters together: what is listed stays well below _MOST_BYTES.
_MOST_FINISHED = 10
_MOST_CHARACTERS = 20_000

# Linux updates its clock for file times every 1 to 10 ms.
_WAIT_SECONDS = 0.001
_MOST_WAITS = 30


@dataclass(frozen=True, slots=True)
class Finished:
    """A request all of whose frames are stored.

    Attributes
    ----------
    request
        Identifies the selection and the options.
    names
        Its files, relative to the directory.
    """

    request: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """Frames of one video, made in one way.

    Attributes
    ----------
    naming
        Template of the file names.
    facts
        The source and options that determine the frames.
    since_ns
        When the run began, on the file system's clock. Files with this naming that are
        younger belong to it, up to the start of the next run with this naming.
    finished
        The request that was finished last, and its files in frame order; ``None`` if it was
        interrupted, or has too many files to list.
    """

    naming: str
    facts: Facts
    since_ns: int = field(default=0, compare=False)
    finished: Finished | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Manifest:
    """The runs that wrote into a directory, the oldest first."""

    runs: tuple[Run, ...] = ()

    @classmethod
    def load(cls, directory: Path) -> Manifest:
        """Read the manifest of a directory; an empty one if it is missing or malformed.

        Raises
        ------
        OSError
            The manifest cannot be read.
        """
        try:
            with (directory / MANIFEST_NAME).open("rb") as file:
                said = json.loads(file.read(_MOST_BYTES))
            if said["version"] != _VERSION:
                return cls()
            return cls(tuple(map(_run_from, said["runs"])))
        except (FileNotFoundError, NotADirectoryError, KeyError, TypeError, ValueError, RecursionError):
            return cls()

    def check(self, run: Run, path: Path, *, index: int | None) -> None:
        """Check that a run wrote a file.

        Raises
        ------
        FrameMismatchError
            Another run wrote it, or an unknown one.
        OSError
            The file's modification time cannot be read.
        """
        written_ns = path.stat().st_mtime_ns
        before = [one for one in self.runs if one.naming == run.naming and one.since_ns <= written_ns]
        if not before or before[-1].facts != run.facts:
            why = (
                _difference(before[-1].facts, run.facts)
                if before
                else "the directory does not record its video"
            )
            message = (
                f"{path} already exists, and {why}: overwrite='skip' keeps only frames that this request "
                "would write; use another directory, or overwrite='replace'"
            )
            raise FrameMismatchError(message, index=index, path=str(path))

    @classmethod
    def claim(cls, directory: Path, run: Run) -> Manifest:
        """Record the start of a run, unless the latest run with its naming is the same.

        Returns
        -------
        Manifest
            The manifest with this run.

        Raises
        ------
        OSError
            The file system refuses.
        """
        with alone_in(directory):
            manifest = cls.load(directory)
            if manifest._latest(run.naming) == run:
                return manifest
            begun = Run(run.naming, run.facts, _now_ns(directory))
            manifest = cls((*manifest.runs, begun)[-_MOST_RUNS:])
            manifest._save(directory)
            return manifest

    @classmethod
    def finish(cls, directory: Path, run: Run, finished: Finished) -> None:
        """Record that a request of the latest run with this naming is finished.

        Raises
        ------
        OSError
            The file system refuses.
        """
        if sum(map(len, finished.names)) > _MOST_CHARACTERS:
            return
        with alone_in(directory):
            manifest = cls.load(directory)
            latest = manifest._latest(run.naming)
            if latest is not None and latest == run and latest.finished != finished:
                ended = replace(latest, finished=finished)
                cls(tuple(ended if one is latest else one for one in manifest.runs))._save(directory)

    def files_of(self, directory: Path, request: str, source: Facts) -> list[str] | None:
        """Return the files of a finished request, if all are there as it left them.

        Parameters
        ----------
        directory
            The directory of this manifest.
        request
            Identifies the selection and the options.
        source
            The facts of the source alone, as they are now.

        Raises
        ------
        FrameMismatchError
            Another run replaced one of them.
        OSError
            A file's modification time cannot be read.
        """
        for run in reversed(self.runs):
            if run.finished is None or run.finished.request != request:
                continue
            paths = [directory / name for name in run.finished.names]
            if source.items() <= run.facts.items() and all(path.is_file() for path in paths):
                for path in paths:
                    self.check(run, path, index=None)
                return [*map(str, paths)]
        return None

    def _latest(self, naming: str) -> Run | None:
        return next((run for run in reversed(self.runs) if run.naming == naming), None)

    def _save(self, directory: Path) -> None:
        runs = [_plain(run) for run in self.runs]
        for run in runs[:-_MOST_FINISHED]:
            run.pop("finished", None)
        text = json.dumps({"version": _VERSION, "runs": runs}, indent=1)
        write_whole(directory / MANIFEST_NAME, text.encode())


def _plain(run: Run) -> dict[str, Any]:
    plain = {"naming": run.naming, "since_ns": run.since_ns, "facts": run.facts}
    if run.finished is None:
        return plain
    return plain | {"finished": {"request": run.finished.request, "names": run.finished.names}}


def _run_from(plain: Mapping[str, Any]) -> Run:
    finished = plain.get("finished")
    if finished is not None:
        # A name leads to no other directory, whoever wrote the manifest.
        names = tuple(Path(name).name for name in finished["names"])
        finished = Finished(str(finished["request"]), names)
    return Run(plain["naming"], dict(plain["facts"]), int(plain["since_ns"]), finished)


def _difference(there: Facts, here: Facts) -> str:
    """Describe the first fact that differs."""
    name = next(name for name in [*here, *there] if there.get(name) != here.get(name))
    was, now = (quoted(facts.get(name), longest=80) for facts in (there, here))
    return f"its {name} was {was} and is now {now}"


def _now_ns(directory: Path) -> int:
    """Wait for the next tick of the file system's clock, which may be another machine's, and return its time.

    Files written earlier are then older than this time. The wait is bounded, in case the clock ticks rarely.
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
