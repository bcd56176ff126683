"""Frames as Arrow tables, with images as fixed-shape tensors of Ray or as encoded files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from ray.data.extensions import ArrowTensorArray, ArrowTensorTypeV2

from asyncframes._frames.batch import FrameBatch
from asyncframes._frames.frame import Frame
from asyncframes.errors import UnsupportedMediaError
from asyncframes.ray._options import Column, Reading
from asyncframes.ray._sources import Entry

ERROR = "error"
"""The column that says why a video has no more rows."""

_PLAIN: Mapping[Column, pa.DataType] = {
    "index": pa.int64(),
    "pts": pa.int64(),
    "pts_seconds": pa.float64(),
    "duration_seconds": pa.float64(),
    "is_keyframe": pa.bool_(),
    "is_corrupt": pa.bool_(),
    "source": pa.string(),
}

_NO_PTS = np.iinfo(np.int64).min

_OF_BATCH: Mapping[Column, Callable[[FrameBatch], Any]] = {
    "index": lambda batch: batch.indices,
    "pts": lambda batch: pa.array(batch.pts, mask=batch.pts == _NO_PTS),
    "pts_seconds": lambda batch: batch.pts_seconds,
    "duration_seconds": lambda batch: batch.duration_seconds,
    "is_keyframe": lambda batch: batch.is_keyframe,
    "is_corrupt": lambda batch: batch.is_corrupt,
}


class Blocks:
    """Makes the tables of one job, which all have the same schema.

    Parameters
    ----------
    reading
        Which columns they have.
    shape
        Shape of the images; ``None`` if it is unknown, or does not matter.
    carried
        Schema of the columns that rows repeat, ``None`` for none.
    """

    def __init__(self, reading: Reading, shape: tuple[int, ...] | None, carried: pa.Schema | None) -> None:
        self._columns = reading.columns
        self._encode, self._quality = reading.encode, reading.quality
        self._shape, self._dtype = shape, reading.rendering.dtype
        self._has_errors = reading.on_error == "column"
        self._carried = carried

    @property
    def schema(self) -> pa.Schema | None:
        """The schema, ``None`` while the shape of the images is unknown."""
        if "image" in self._columns and self._image_type() == pa.null():
            return None
        return self._schema(self._image_type())

    def _image_type(self) -> pa.DataType:
        if self._encode is not None:
            return pa.binary()
        return pa.null() if self._shape is None else self._tensor_type(self._shape)

    def _tensor_type(self, shape: tuple[int, ...]) -> pa.DataType:
        return ArrowTensorTypeV2(shape, pa.from_numpy_dtype(self._dtype))

    def _schema(self, image: pa.DataType) -> pa.Schema:
        own = [pa.field(name, image if name == "image" else _PLAIN[name]) for name in self._columns]
        own += [pa.field(ERROR, pa.string())] if self._has_errors else []
        return pa.schema([*own, *(self._carried or ())])

    def of_batch(self, batch: FrameBatch, entry: Entry) -> pa.Table:
        """Return the rows of a batch, whose images are not copied.

        Raises
        ------
        UnsupportedMediaError
            Its images have another shape than those of the job.
        """
        if "image" not in self._columns:
            return self._table(batch, None, entry)
        shape = batch.images.shape[1:]
        if self._shape not in {None, shape}:
            raise UnsupportedMediaError(
                f"its images are {_size(shape)}, but those of the job are {_size(self._shape)}: "
                'pass resize= with fit=, or encode="jpg"',
                source=entry.name,
            )
        image = ArrowTensorArray.from_numpy(batch.images)
        return self._table(batch, image.cast(self._tensor_type(shape)) if not len(batch) else image, entry)

    def of_frames(self, batch: FrameBatch, files: Sequence[bytes], entry: Entry) -> pa.Table:
        """Return the rows of frames whose images are encoded."""
        return self._table(batch, pa.array(files, pa.binary()), entry)

    def encoded(self, frame: Frame) -> bytes:
        """Encode the image of a frame."""
        return frame.encode(self._encode or "", quality=self._quality)

    def _table(self, batch: FrameBatch, image: pa.Array | None, entry: Entry) -> pa.Table:
        count = len(batch)
        found: dict[str, Any] = {}
        for name in self._columns:
            if name == "image":
                found[name] = image
            elif name == "source":
                found[name] = _repeated(pa.array([entry.name], pa.string()), count)
            else:
                found[name] = _OF_BATCH[name](batch)
        if self._has_errors:
            found[ERROR] = pa.nulls(count, pa.string())
        schema = self._schema(pa.null() if image is None else image.type)
        return pa.table(found | self._carried_by(entry, count), schema=schema)

    def _carried_by(self, entry: Entry, count: int) -> dict[str, Any]:
        if entry.carried is None:
            return {}
        return {name: _repeated(entry.carried.column(name), count) for name in entry.carried.column_names}

    def of_error(self, entry: Entry, text: str) -> pa.Table:
        """Return the row that says why a video has no more rows."""
        image = self._image_type()
        found: dict[str, Any] = {name: pa.nulls(1, _PLAIN[name]) for name in self._columns if name != "image"}
        if "image" in self._columns:
            found["image"] = (
                pa.nulls(1, image) if self._encode or self._shape is None else self._no_image(image)
            )
        if "source" in self._columns:
            found["source"] = pa.array([entry.name], pa.string())
        found[ERROR] = pa.array([text], pa.string())
        return pa.table(found | self._carried_by(entry, 1), schema=self._schema(image))

    def _no_image(self, kind: pa.DataType) -> pa.Array:
        # Ray reads the values of null tensors too, so there have to be some.
        values = np.zeros(self._shape or (), self._dtype).ravel()
        bits, places = pa.py_buffer(b"\0"), pa.py_buffer(np.array([0, values.size], np.int64))
        storage = pa.Array.from_buffers(
            kind.storage_type, 1, [bits, places], null_count=1, children=[pa.array(values)]
        )
        return pa.ExtensionArray.from_storage(kind, storage)


def _repeated(one: Any, count: int) -> Any:
    return one.take(pa.array(np.zeros(count, np.int64)))


def _size(shape: tuple[int, ...] | None) -> str:
    height, width = (shape or (0, 0))[:2]
    return f"{width}x{height}"
