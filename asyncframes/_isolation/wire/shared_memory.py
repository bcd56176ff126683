"""Memory that the decoding process writes images to, and that the process of the video reads."""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import tempfile
import threading
import weakref
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np

from asyncframes._isolation.wire.messages import MalformedError
from asyncframes._types import Image

if sys.platform != "win32":
    import fcntl

_PAGE = mmap.PAGESIZE

# fcntl.h: F_ADD_SEALS, and the seals against shrinking, growing and changing the seals. A reader of memory
# that another process has shrunk would die by SIGBUS.
_ADD_SEALS, _SEALS = 1033, 0x1 | 0x2 | 0x4


def descriptor_of(size: int) -> int:
    """Return a descriptor of new anonymous memory, whose pages are taken when they are first written to."""
    if sys.platform == "linux":
        descriptor = os.memfd_create("asyncframes", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(descriptor, size)
        fcntl.fcntl(descriptor, _ADD_SEALS, _SEALS)
        return descriptor
    # A file without a name: elsewhere, Python has no anonymous memory that can be passed on.
    with tempfile.TemporaryFile(prefix="asyncframes-") as file:
        file.truncate(size)
        return os.dup(file.fileno())


class Memory:
    """The process of the video's view of the shared memory.

    The upper half holds images that are handed to the caller where they are, and given back when
    the caller has dropped them. The lower half holds images that are copied at once, so that a
    caller who keeps all frames cannot stop the decoder.

    Parameters
    ----------
    descriptor
        Of the memory. It may be closed afterwards.
    size
        Its size in bytes.
    """

    def __init__(self, descriptor: int, size: int) -> None:
        # Not `mmap.mmap`, which keeps a descriptor open for as long as an array refers to it.
        self._address = _mapped(descriptor, size)
        self._size = size
        # Not at exit: a thread may still use an array then.
        weakref.finalize(self, _unmap, self._address, size).atexit = False
        self._starts: list[int] = []
        self._stops: list[int] = []
        # Filled by finalisers, which may run in any thread at any time. Appending is atomic.
        self._dropped: deque[int] = deque()

    def take(self, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Image:
        """Return an image where it is. Dropping the array gives its place back.

        Raises
        ------
        MalformedError
            It is not all inside the memory, or part of it is in use.
        """
        length = dtype.itemsize
        for side in shape:
            length *= side
        stop = offset + length
        if offset % _PAGE or stop > self._size or offset < self._size // 2 < stop:
            raise MalformedError("an image is outside the shared memory")
        place = bisect_right(self._starts, offset)
        if (place and self._stops[place - 1] > offset) or (
            place < len(self._starts) and self._starts[place] < stop
        ):
            raise MalformedError("an image is where another one is")
        self._starts.insert(place, offset)
        self._stops.insert(place, stop)
        return np.asarray(_Slot(self, offset, shape, dtype))

    def lends(self, offset: int) -> bool:
        """Whether the caller may keep the image at an offset."""
        return offset >= self._size // 2

    def freed(self) -> list[int]:
        """Return the offsets of images that are free again, each once."""
        found: list[int] = []
        while self._dropped:
            offset = self._dropped.popleft()
            found.append(offset)
            place = bisect_right(self._starts, offset) - 1
            if place >= 0 and self._starts[place] == offset:
                del self._starts[place], self._stops[place]
        return found

    def rest(self) -> None:
        """Give the pages back to the system that no image is in, once the decoding process is done."""
        if not hasattr(mmap, "MADV_REMOVE"):
            return
        self.freed()
        begin = 0
        for start, stop in zip([*self._starts, self._size], [*self._stops, self._size], strict=True):
            if start > begin:
                _libc().madvise(
                    ctypes.c_void_p(self._address + begin), ctypes.c_size_t(start - begin), mmap.MADV_REMOVE
                )
            begin = -(-stop // _PAGE) * _PAGE


class _Slot:
    """The part of the shared memory that an array views."""

    def __init__(self, memory: Memory, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._memory = memory
        self._offset = offset
        self.__array_interface__ = {
            "version": 3,
            "shape": shape,
            "typestr": dtype.str,
            "data": (memory._address + offset, False),
        }

    def __del__(self) -> None:
        self._memory._dropped.append(self._offset)


@cache
def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def _mapped(descriptor: int, size: int) -> int:
    function = _libc().mmap
    function.restype = ctypes.c_void_p
    function.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    address = function(None, size, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, descriptor, 0)
    if address is None or address == ctypes.c_void_p(-1).value:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return int(address)


def _unmap(address: int, size: int) -> None:
    _libc().munmap(ctypes.c_void_p(address), ctypes.c_size_t(size))


class Half:
    """Finds room in one half of the shared memory.

    Images of a request have one size, so places are used again by size. Only if that does not
    help, the gaps between the places in use are searched.

    Parameters
    ----------
    begin, end
        The offsets where it begins and ends.
    """

    def __init__(self, begin: int, end: int) -> None:
        self._begin = begin
        self._end = end
        self._next = begin
        self._used: dict[int, int] = {}
        self._spare: dict[int, list[int]] = {}

    def take(self, length: int) -> int | None:
        """Return the offset of a free place, ``None`` if there is none."""
        length = -(-length // _PAGE) * _PAGE
        if spare := self._spare.get(length):
            offset = spare.pop()
        elif self._next + length <= self._end:
            offset = self._next
            self._next += length
        else:
            # Everything below `_next` that is not in use is a gap from now on.
            self._spare.clear()
            self._next = self._end
            found = self._gap(length)
            if found is None:
                return None
            offset = found
        self._used[offset] = length
        return offset

    def _gap(self, length: int) -> int | None:
        begin = self._begin
        for offset in sorted(self._used):
            if offset - begin >= length:
                return begin
            begin = offset + self._used[offset]
        return begin if self._end - begin >= length else None

    def free(self, offset: int) -> None:
        """Use a place again."""
        length = self._used.pop(offset, None)
        if not self._used:
            self._spare.clear()
            self._next = self._begin
        elif length is not None and self._next < self._end:
            self._spare.setdefault(length, []).append(offset)


class Space:
    """The decoding process's view of the shared memory: where the next image may be.

    Parameters
    ----------
    descriptor
        Of the memory. It may be closed afterwards.
    size
        Its size in bytes.
    """

    def __init__(self, descriptor: int, size: int) -> None:
        self._map = mmap.mmap(descriptor, size)
        self._half = size // 2
        self._lower = Half(0, self._half)
        self._upper = Half(self._half, size)
        # The decoders of a request call from several threads.
        self._lock = threading.Lock()

    def put(self, image: Image, *, is_kept: bool) -> tuple[Image, int] | None:
        """Copy an image to a free place. Any thread may call this.

        Parameters
        ----------
        image
            The image.
        is_kept
            Whether the caller gets it where it is, if there is room.

        Returns
        -------
        tuple or None
            The copy and its offset, ``None`` if there is no room now.

        Raises
        ------
        MemoryError
            There will never be room for it.
        """
        length = image.nbytes
        if length > self._half:
            raise MemoryError(f"an image of {length:,} bytes is larger than the shared memory")
        with self._lock:
            offset = self._upper.take(length) if is_kept else None
            if offset is None:
                offset = self._lower.take(length)
        if offset is None:
            return None
        copied: Image = np.ndarray(image.shape, image.dtype, self._map, offset)
        copied[...] = image
        return copied, offset

    def close(self) -> None:
        """Unmap the memory.

        Raises
        ------
        BufferError
            An image in it is still referred to.
        """
        self._map.close()

    def free(self, offsets: Iterable[int]) -> None:
        """Use the places of images again."""
        with self._lock:
            for offset in offsets:
                (self._lower if offset < self._half else self._upper).free(offset)


__all__ = ["Half", "Memory", "Space", "descriptor_of"]
