"""Files that appear under their names only once complete: written beside, then renamed. All calls block."""

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
except ImportError:  # Windows, where a rename refuses a name that is taken
    fcntl = None  # type: ignore[assignment]

_NO_HARD_LINKS = frozenset(
    {errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.EINVAL}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeFile:
    """A file on its way to its name.

    Attributes
    ----------
    path
        Where it will be.
    temporary
        Where it is until it is complete: same directory, same suffix.
    """

    path: Path
    temporary: Path

    def put(self) -> None:
        """Give the temporary file its name in one step; a file that has the name gives way.

        Raises
        ------
        OSError
            The file system refused.
        """
        self.temporary.replace(self.path)

    def put_if_free(self) -> None:
        """Give the temporary file its name in one step, unless the name is taken.

        Raises
        ------
        FileExistsError
            The name is taken.
        OSError
            The file system refused.
        """
        try:
            os.link(self.temporary, self.path)
        except OSError as exc:
            if exc.errno not in _NO_HARD_LINKS:
                raise
            self._rename_if_free()

    def _rename_if_free(self) -> None:
        """Look and rename while other writers are locked out: FAT and some network mounts need it."""
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
    """Yield a path to write to; on leaving without an error, what was written there replaces `path`.

    Raises
    ------
    OSError
        The file system refused; it names `path`, not the temporary file.
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
    """Replace a file by one with these bytes.

    Raises
    ------
    OSError
        The file system refused.
    """
    with whole_file(path) as temporary:
        temporary.write_bytes(data)


@contextmanager
def alone_in(directory: Path) -> Iterator[None]:
    """Lock other writers out of a directory; a lock goes with its process, where there are locks."""
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
