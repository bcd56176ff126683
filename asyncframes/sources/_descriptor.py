"""Files that the caller opened, by their descriptors."""

from __future__ import annotations

import os
import stat
from io import FileIO

from asyncframes._model.quoting import quoted_option
from asyncframes.abc import StreamSource
from asyncframes.errors import SourceAddressError
from asyncframes.sources._forward.source import ForwardSource
from asyncframes.sources._local import LocalSource, refuse_irregular


def name_of_descriptor(descriptor: int) -> str:
    """Return what errors and logs call a file descriptor."""
    return f"file descriptor {quoted_option(descriptor)}"


def from_descriptor(descriptor: int) -> StreamSource:
    """Make a source from an open file descriptor, which stays the caller's.

    Raises
    ------
    SourceAddressError
        Nothing is open under this number.
    """
    try:
        mode = os.fstat(descriptor).st_mode
    except (OSError, OverflowError) as exc:
        raise SourceAddressError(
            "the file descriptor is not open", source=name_of_descriptor(descriptor)
        ) from exc
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISCHR(mode):
        return ForwardSource(_Pipe(descriptor))
    return DescriptorSource(descriptor)


class DescriptorSource(LocalSource):
    """A regular file by its descriptor, which is duplicated on opening and never closed.

    Reads begin at byte 0, whatever the position of the descriptor, and do not move it
    where the system can read at a position.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__(name_of_descriptor(descriptor))
        self._descriptor = descriptor

    def __repr__(self) -> str:
        return f"DescriptorSource({self._descriptor})"

    def _open_raw(self) -> FileIO:
        refuse_irregular(os.fstat(self._descriptor).st_mode)
        return FileIO(os.dup(self._descriptor))


class _Pipe(FileIO):
    """A descriptor that is read once, in order, and left open."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, closefd=False)
        self.name = name_of_descriptor(descriptor)
