"""Files that the caller opened, by their descriptors."""

from __future__ import annotations

import os
import stat
from io import FileIO
from typing import Any

from asyncframes._model.quoting import quoted_option
from asyncframes.abc import StreamSource
from asyncframes.errors import NotPicklableError, SourceAddressError, SourceChangedError
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
        facts = os.fstat(descriptor)
    except (OSError, OverflowError) as exc:
        raise SourceAddressError(
            "the file descriptor is not open", source=name_of_descriptor(descriptor)
        ) from exc
    if any(is_kind(facts.st_mode) for is_kind in (stat.S_ISFIFO, stat.S_ISSOCK, stat.S_ISCHR)):
        return ForwardSource(_Pipe(descriptor))
    return DescriptorSource(descriptor, facts)


class DescriptorSource(LocalSource):
    """A regular file by its descriptor, which is duplicated on opening and never closed.

    Reads start at byte 0 of the file, whatever the descriptor's position, and do not
    move it, except on Windows.
    """

    def __init__(self, descriptor: int, facts: os.stat_result) -> None:
        super().__init__(name_of_descriptor(descriptor))
        self._descriptor = descriptor
        self._facts = facts

    def __repr__(self) -> str:
        return f"DescriptorSource({self._descriptor})"

    def __reduce__(self) -> tuple[Any, ...]:
        raise NotPicklableError(
            f"{self!r} cannot be pickled, because its number means nothing in another process: "
            "pass the path of the file"
        )

    def _open_raw(self) -> FileIO:
        facts = os.fstat(self._descriptor)
        # The system gives the number of a closed descriptor to the next file that is opened.
        if not os.path.samestat(facts, self._facts):
            raise SourceChangedError("the descriptor now refers to another file", source=self.name)
        refuse_irregular(facts.st_mode)
        return FileIO(os.dup(self._descriptor))


class _Pipe(FileIO):
    """A descriptor that is read once, in order, and left open."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, closefd=False)
        self.name = name_of_descriptor(descriptor)
