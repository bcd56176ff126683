"""Files of frames: what to do where one is there already, and what to say of failures. All calls block."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from asyncframes._runtime.temporaries import sweep, temporary_beside
from asyncframes._runtime.whole_files import WholeFile
from asyncframes._types import Overwrite
from asyncframes.errors import FrameExistsError, FrameWriteError

__all__ = ["FrameFile", "file_names", "prepare_directory", "reason_of", "write_error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameFile(WholeFile):
    """The file of one frame, on its way to its place.

    Attributes
    ----------
    index
        Index of the frame.
    overwrite
        What to do where `path` is already there.
    prove
        Raises unless the file at a path is a frame that may be kept.
    """

    index: int
    overwrite: Overwrite
    prove: Callable[[int, Path], None] | None = None

    @classmethod
    def at(
        cls,
        path: Path,
        *,
        index: int,
        overwrite: Overwrite,
        prove: Callable[[int, Path], None] | None = None,
    ) -> Self:
        """Choose a temporary name that nobody else has."""
        return cls(index=index, path=path, temporary=temporary_beside(path), overwrite=overwrite, prove=prove)

    def refuse_other_files(self) -> None:
        """Refuse a file that is already there, unless it may be replaced or skipped.

        Raises
        ------
        FrameExistsError
            It is there and ``overwrite`` is ``"error"``, or it cannot be shown to be this frame.
        """
        if self.overwrite == "replace" or not self.path.is_file():
            return
        if self.overwrite == "error":
            raise self._exists_error()
        if self.prove is not None:
            self.prove(self.index, self.path)

    def is_skipped(self) -> bool:
        """Whether the file is already there and stays as it is."""
        return self.overwrite == "skip" and self.path.is_file()

    def publish(self) -> None:
        """Give the temporary file its final name, in one step.

        Raises
        ------
        FrameExistsError
            Another file took the name meanwhile and ``overwrite`` is ``"error"``.
        OSError
            The file system refused.
        """
        if self.overwrite == "replace":
            self.put()
            return
        try:
            self.put_if_free()
        except FileExistsError as exc:
            if self.overwrite == "error" or not self.path.is_file():
                raise self._exists_error() from exc
        self.discard()

    def write_error(self, reason: str) -> FrameWriteError:
        """Say that the frame could not be stored, where, and why."""
        return write_error(self.index, self.path, reason)

    def _exists_error(self) -> FrameExistsError:
        message = (
            f"frame {self.index}: {self.path} is already there; overwrite='replace' or 'skip' allows that"
        )
        return FrameExistsError(message, index=self.index, path=str(self.path))


def write_error(index: int, path: Path, reason: str) -> FrameWriteError:
    """Say which frame could not be stored, where, and why."""
    message = f"frame {index} not stored at {path}: {reason}"
    return FrameWriteError(message, index=index, path=str(path))


def prepare_directory(directory: Path) -> None:
    """Make the directory with its parents, and clear what runs that were killed left in it.

    Raises
    ------
    OSError
        It cannot be made or read.
    """
    directory.mkdir(parents=True, exist_ok=True)
    sweep(directory)


def file_names(directory: Path) -> set[str]:
    """Name every file in the directory; one listing, no call a file.

    Raises
    ------
    OSError
        It cannot be read; a directory that is not there has no files.
    """
    try:
        with os.scandir(directory) as entries:
            return {entry.name for entry in entries if entry.is_file()}
    except FileNotFoundError:
        return set()


def reason_of(exc: OSError) -> str:
    """Say what the operating system said, without the (temporary) path."""
    return exc.strerror or type(exc).__name__
