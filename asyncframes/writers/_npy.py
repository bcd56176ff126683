"""All frames as one array in a ``.npy`` file."""

from __future__ import annotations

import os
from concurrent.futures import Executor
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np

from asyncframes._frames.frame import Frame
from asyncframes._types import Image
from asyncframes.writers._files import prepare_directory
from asyncframes.writers._ordered import OrderedWriter, SinkFile, check_overwrite

__all__ = ["NpyWriter"]


class NpyWriter(OrderedWriter[Image]):
    """Stores frames as one array of shape ``(frames, height, width, channels)``.

    Frames are streamed to a hidden temporary file in the same directory. `aclose` writes
    their number into the header and renames the file. Memory does not grow with the
    number of frames, nor does it when ``numpy.load(path, mmap_mode="r")`` reads them.
    Without frames there is no file.

    Parameters
    ----------
    path
        Path of the array file. Directories are created.
    overwrite
        What to do if the file exists: ``"error"`` raises `FrameExistsError` at the first
        frame, ``"replace"`` replaces it on closing.
    executor
        Runs blocking calls; ``None`` for the event loop's default executor.

    Raises
    ------
    ValueError
        `overwrite` is invalid.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        overwrite: Literal["error", "replace"] = "error",
        executor: Executor | None = None,
    ) -> None:
        super().__init__(executor)
        check_overwrite(overwrite)
        self._path = Path(path).absolute()
        self._overwrite = overwrite
        self._file: SinkFile | None = None
        self._bytes: BinaryIO | None = None
        self._like: Image | None = None
        self._count = 0

    def _path_of(self) -> Path:
        return self._path

    def _prepare(self, frame: Frame) -> Image:
        return np.ascontiguousarray(frame.image)

    def _store(self, frame: Frame, prepared: Image) -> str:
        if self._bytes is None or self._like is None:
            self._begin(frame.index, prepared)
        elif (prepared.shape, prepared.dtype) != (self._like.shape, self._like.dtype):
            reason = f"its shape is {_kind(prepared)}: expected {_kind(self._like)}, as in the first frame"
            raise self._write_error(frame, reason)
        assert self._bytes is not None  # noqa: S101 - narrows for the type checker
        self._bytes.write(prepared.data)
        self._count += 1
        return f"{self._path}[{self._count - 1}]"

    def _begin(self, index: int, image: Image) -> None:
        prepare_directory(self._path.parent)
        file = SinkFile.at(self._path, index=index, overwrite=self._overwrite)
        file.refuse_other_files()
        self._file, self._bytes = file, file.temporary.open("xb")
        self._like = np.empty_like(image)
        self._write_header()

    def _write_header(self) -> None:
        """Write the header at the start. NumPy pads it to the same length for any number of frames."""
        assert self._bytes is not None  # noqa: S101 - narrows for the type checker
        assert self._like is not None  # noqa: S101 - narrows for the type checker
        self._bytes.seek(0)
        facts = {
            "descr": np.lib.format.dtype_to_descr(self._like.dtype),
            "fortran_order": False,
            "shape": (self._count, *self._like.shape),
        }
        np.lib.format.write_array_header_1_0(self._bytes, facts)

    def _finish(self) -> None:
        if self._file is None or self._bytes is None:
            return
        self._write_header()
        self._bytes.close()
        self._file.publish()

    def _drop(self) -> None:
        if self._bytes is not None:
            self._bytes.close()
        if self._file is not None:
            self._file.discard()


def _kind(image: Image) -> str:
    return f"{'x'.join(map(str, image.shape))} {image.dtype}"
