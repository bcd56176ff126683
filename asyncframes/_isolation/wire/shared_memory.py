"""Memory that the decoding process writes images to, and that the process of the video reads."""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import sys
import tempfile
import weakref
from bisect import bisect_right
from collections import deque
from functools import cache
from typing import Any

import numpy as np

from asyncframes._isolation.wire.messages import MalformedError
from asyncframes._types import Image

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
        self._half = len(self._map) // 2
        self._used: dict[int, int] = {}

    def put(self, image: Image, *, is_kept: bool) -> int | None:
        """Copy an image to a free place.

        Parameters
        ----------
        image
            The image.
        is_kept
            Whether the caller gets it where it is, if there is room.

        Returns
        -------
        int or None
            The offset, ``None`` if there is no room now.

        Raises
        ------
        MemoryError
            There will never be room for it.
        """
        if image.nbytes > self._half:
            raise MemoryError(f"an image of {image.nbytes:,} bytes is larger than the shared memory")
        offset = self._place(self._half, len(self._map), image.nbytes) if is_kept else None
        if offset is None:
            offset = self._place(0, self._half, image.nbytes)
        if offset is None:
            return None
        self._used[offset] = offset + -(-image.nbytes // _PAGE) * _PAGE
        np.ndarray(image.shape, image.dtype, self._map, offset)[...] = image
        return offset

    def _place(self, begin: int, end: int, length: int) -> int | None:
        """Return the lowest free offset, so that few pages are ever taken."""
        for start in sorted(start for start in self._used if begin <= start < end):
            if start - begin >= length:
                return begin
            begin = self._used[start]
        return begin if end - begin >= length else None

    def free(self, offsets: list[int]) -> None:
        """Use the places of images again."""
        for offset in offsets:
            self._used.pop(offset, None)

    def close(self) -> None:
        """Drop the view."""
        self._map.close()


__all__ = ["Memory", "Space", "descriptor_of"]
