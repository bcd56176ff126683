"""Bytes in memory."""

from __future__ import annotations

import io
from typing import BinaryIO, TypeAlias, TypeGuard

import numpy as np
from numpy.typing import NDArray

from asyncframes._model.quoting import a_kind, shortened
from asyncframes.abc import StreamSource

BytesLike: TypeAlias = bytes | bytearray | memoryview | NDArray[np.uint8]
"""Bytes in memory; any other one-dimensional buffer of bytes does as well."""

_FORMATS = {"B", "<B", "c"}
_EXPECTED = "expected bytes, bytearray or memoryview, or an array of uint8"


class MemorySource(StreamSource):
    """Bytes in memory.

    Parameters
    ----------
    data
        The bytes. Anything but `bytes` is copied once, here: another bytes-like object, or
        a one-dimensional array of ``uint8``.

    Raises
    ------
    TypeError
        `data` is not a bytes-like object, its items are not bytes, or it has several
        dimensions.
    """

    def __init__(self, data: BytesLike) -> None:
        self._data = data if isinstance(data, bytes) else _copied(data)
        self._size = len(self._data)

    def __repr__(self) -> str:
        return f"MemorySource({self.name})"

    @property
    def name(self) -> str:
        return f"{self._size} bytes in memory"

    @property
    def size(self) -> int:
        return self._size

    async def read_range(self, start: int, stop: int) -> bytes:
        self.check_open()
        self.check_range(start, stop)
        return self._data[start:stop]

    def local_file(self) -> BinaryIO | None:
        self.check_open()
        return io.BytesIO(self._data)

    async def aclose(self) -> None:
        await super().aclose()
        self._data = b""


def is_buffer(value: object) -> TypeGuard[BytesLike]:
    """Whether a value gives access to its memory, whatever that holds."""
    try:
        memoryview(value).release()  # type: ignore[arg-type]  # that is the question
    except TypeError:
        return False
    except ValueError:  # an array of dates
        return True
    return True


def _copied(data: object) -> bytes:
    kind = getattr(data, "dtype", None)
    items = a_kind(data) if kind is None else f"an array of {shortened(str(kind), longest=50)}"
    try:
        view = memoryview(data)  # type: ignore[arg-type]  # checked here
    except (TypeError, ValueError):
        raise TypeError(f"data is {items}: {_EXPECTED}") from None
    with view:
        if view.format not in _FORMATS:
            held = "" if kind is not None else f" of items {view.format[:20]!r}"
            raise TypeError(f"data is {items}{held}: {_EXPECTED}")
        if view.ndim != 1:
            raise TypeError(f"data is {items} of shape {view.shape}: expected one dimension")
        return view.tobytes()
