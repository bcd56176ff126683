"""Files that appear only once complete: written under a temporary name, then renamed. All calls block."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from asyncframes._runtime.temporaries import temporary_beside

try:
    import fcntl
except ImportError:  # Windows, where renaming onto an existing file fails
    fcntl = None  # type: ignore[assignment]

_NO_HARD_LINKS = frozenset(
    {errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.EINVAL}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeFile:
    """A file that gets its final path once it is complete.

    Attributes
    ----------
    path
        The final path.
    temporary
        The path until then, in the same directory and with the same suffix.
    """

    path: Path
    temporary: Path

    def put(self) -> None:
        """Rename the temporary file to `path` atomically, replacing any file there.

        Raises
        ------
        OSError
            The file system refuses.
        """
        self.temporary.replace(self.path)

    def put_if_free(self) -> None:
        """Rename the temporary file to `path` atomically, unless a file is there.

        Raises
        ------
        FileExistsError
            A file is there.
        OSError
            The file system refuses.
        """
        try:
            os.link(self.temporary, self.path)
        except OSError as exc:
            if exc.errno not in _NO_HARD_LINKS:
                raise
            self._rename_if_free()

    def _rename_if_free(self) -> None:
        """Check and rename under a lock, for file systems without hard links: FAT and some network mounts."""
        with alone_in(self.path.parent):
            if os.path.lexists(self.path):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(self.path))
            self.temporary.rename(self.path)

    def discard(self) -> None:
        """Remove the temporary file, if there is one."""
        with suppress(OSError):
            self.temporary.unlink(missing_ok=True)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path. Unless the block raises, the file written there then replaces `path`.

    Raises
    ------
    OSError
        The file system refuses. The error names `path`, not the temporary file.
    """
    file = WholeFile(path=path, temporary=temporary_beside(path))
    try:
        yield file.temporary
        file.put()
    except OSError as exc:
        raise OSError(exc.errno, exc.strerror, str(path)) from exc
    finally:
        file.discard()


def write_whole(path: Path, data: bytes) -> None:
    """Replace the file at `path` with one that contains `data`.

    Raises
    ------
    OSError
        The file system refuses.
    """
    with whole_file(path) as temporary:
        temporary.write_bytes(data)


@contextmanager
def alone_in(directory: Path) -> Iterator[None]:
    """Lock other writers out of a directory, if the system has file locks. A lock ends with its process."""
    if fcntl is None:
        yield
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
