"""Whole files or none: a temporary name beside the final one, then a rename. All calls block."""

from __future__ import annotations

import errno
import os
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from uuid import uuid4

from asyncframes._types import Overwrite
from asyncframes.errors import FrameExistsError, FrameWriteError

__all__ = ["FrameFile", "file_names", "prepare_directory", "reason_of"]

TEMPORARY_NAME = re.compile(r"\.asyncframes-[0-9a-f]{32}(\..*)?")
STALE_SECONDS = 3600.0
NO_HARD_LINKS = frozenset(
    {errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.EINVAL}
)


@dataclass(frozen=True, slots=True)
class FrameFile:
    """The file of one frame, on its way to its place.

    Attributes
    ----------
    index
        Index of the frame.
    path
        Where it shall be, absolute.
    temporary
        Where it is until it is whole: same directory, same suffix.
    overwrite
        What to do where `path` is already there.
    """

    index: int
    path: Path
    temporary: Path
    overwrite: Overwrite

    @classmethod
    def at(cls, path: Path, *, index: int, overwrite: Overwrite) -> Self:
        """Choose a temporary name that nobody else has."""
        temporary = path.with_name(f".asyncframes-{uuid4().hex}{path.suffix}")
        return cls(index=index, path=path, temporary=temporary, overwrite=overwrite)

    def is_kept(self) -> bool:
        """Whether the file is there and shall stay as it is.

        Raises
        ------
        FrameExistsError
            It is there and ``overwrite`` is ``"error"``.
        """
        if self.overwrite == "replace" or not self.path.is_file():
            return False
        if self.overwrite == "error":
            raise self._exists_error()
        return True

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
            self.temporary.replace(self.path)
            return
        try:
            self._publish_if_free()
        except FileExistsError as exc:
            if self.overwrite == "error" or not self.path.is_file():
                raise self._exists_error() from exc
        self.discard()

    def discard(self) -> None:
        """Remove the temporary file, if there is one."""
        with suppress(OSError):
            self.temporary.unlink(missing_ok=True)

    def write_error(self, reason: str) -> FrameWriteError:
        """Say which frame could not be stored, where, and why."""
        message = f"frame {self.index} not stored at {self.path}: {reason}"
        return FrameWriteError(message, index=self.index, path=str(self.path))

    def _publish_if_free(self) -> None:
        try:
            os.link(self.temporary, self.path)
        except OSError as exc:
            if exc.errno not in NO_HARD_LINKS:
                raise
            self._claim_and_replace()

    def _claim_and_replace(self) -> None:
        """For FAT and some network mounts: an empty file claims the name and is replaced at once."""
        self.path.touch(exist_ok=False)
        try:
            self.temporary.replace(self.path)
        except OSError:
            self.path.unlink()
            raise

    def _exists_error(self) -> FrameExistsError:
        message = (
            f"frame {self.index}: {self.path} is already there; overwrite='replace' or 'skip' allows that"
        )
        return FrameExistsError(message, index=self.index, path=str(self.path))


def prepare_directory(directory: Path) -> None:
    """Make the directory with its parents, and clear what a killed run left in it.

    Only files with our own kind of temporary name that nobody has written to
    for an hour are removed.

    Raises
    ------
    OSError
        It cannot be made or read.
    """
    directory.mkdir(parents=True, exist_ok=True)
    oldest = time.time() - STALE_SECONDS
    with os.scandir(directory) as entries:
        for entry in entries:
            if TEMPORARY_NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                _remove_if_older(entry, oldest)


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


def _remove_if_older(entry: os.DirEntry[str], oldest: float) -> None:
    with suppress(OSError):  # another run may be sweeping too
        if entry.stat(follow_symlinks=False).st_mtime < oldest:
            Path(entry.path).unlink()
