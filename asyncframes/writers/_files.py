"""Files of frames: existing files, and errors. All calls block."""

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
    """The file of one frame, which gets its final path once it is complete.

    Attributes
    ----------
    index
        Index of the frame.
    overwrite
        What to do if `path` already exists.
    prove
        Raises unless the file at a path is proven to be the frame.
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
        """Choose a unique temporary path."""
        return cls(index=index, path=path, temporary=temporary_beside(path), overwrite=overwrite, prove=prove)

    def is_skipped(self) -> bool:
        """Whether the frame's file exists and is to stay, because ``overwrite`` is ``"skip"``."""
        return self.overwrite == "skip" and self.path.is_file()

    def refuse_other_files(self) -> None:
        """Refuse an existing file unless it may be replaced or kept.

        Raises
        ------
        FrameExistsError
            A file exists and ``overwrite`` is ``"error"``, or it is not proven to be this frame.
        """
        if self.overwrite == "replace" or not self.path.is_file():
            return
        if self.overwrite == "error":
            raise self._exists_error()
        if self.prove is not None:
            self.prove(self.index, self.path)

    def publish(self) -> None:
        """Rename the temporary file to its final path, atomically.

        Raises
        ------
        FrameExistsError
            A file appeared there meanwhile and ``overwrite`` is ``"error"``.
        OSError
            The file system refuses.
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
        """Return an error that says where the frame could not be stored, and why."""
        return write_error(self.index, self.path, reason)

    def _exists_error(self) -> FrameExistsError:
        message = (
            f"frame {self.index}: {self.path} already exists; pass overwrite='replace' or 'skip' to allow it"
        )
        return FrameExistsError(message, index=self.index, path=str(self.path))


def write_error(index: int, path: Path, reason: str) -> FrameWriteError:
    """Return an error that says which frame could not be stored, where, and why."""
    message = f"frame {index} was not stored at {path}: {reason}"
    return FrameWriteError(message, index=index, path=str(path))


def prepare_directory(directory: Path) -> None:
    """Create the directory with its parents, and remove temporary files that killed runs left in it.

    Raises
    ------
    OSError
        The directory cannot be created or read.
    """
    directory.mkdir(parents=True, exist_ok=True)
    sweep(directory)


def file_names(directory: Path) -> set[str]:
    """Return the name of every file in the directory, with one listing and no call per file.

    Raises
    ------
    OSError
        The directory cannot be read. A missing directory has no files.
    """
    try:
        with os.scandir(directory) as entries:
            return {entry.name for entry in entries if entry.is_file()}
    except FileNotFoundError:
        return set()


def reason_of(exc: OSError) -> str:
    """Return the operating system's message, without the (temporary) path."""
    return exc.strerror or type(exc).__name__
