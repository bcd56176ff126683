"""`write_frames`: rows of frames as image files, or as members of WebDataset's shards."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from io import BytesIO
from pathlib import PurePosixPath
from typing import Any, Literal, TypeAlias, TypedDict, Unpack, get_args

import numpy as np
from ray.data import Dataset
from ray.data.block import Block, BlockAccessor
from ray.data.datasource import Datasink

from asyncframes._frames.encoders import Encoder, encoder_for, without_dot
from asyncframes._model.options import with_options
from asyncframes._model.quoting import quoted_option
from asyncframes._types import ImageFormat, Overwrite
from asyncframes.errors import FrameWriteError
from asyncframes.ray._targets import Target, target_of
from asyncframes.sources._limits import check_counts

Row: TypeAlias = Mapping[str, Any]
"""A row of a dataset: numbers, texts and images by column."""


class WriteFilesOptions(TypedDict, total=False):
    """Options of `write_frames` and `FrameFiles`.

    Attributes
    ----------
    ext
        Kind of image file, ``"jpg"`` by default; see `Frame.encode`. An image that is bytes already,
        as `read_frames` makes with ``encode=``, is stored unchanged.
    quality, compression_level
        Options of the encoder.
    image_format
        Format of the images, ``"rgb24"`` by default; see `Frame`.
    column
        The column of images, ``"image"`` by default. A row without an image is left out.
    name
        Function that returns the path of a row's file below the target, without its extension. By
        default, it is ``source/frame_000041``, where ``source`` is the last part of the row's source
        and eight characters that tell apart sources of that name.
    overwrite
        What to do if there are files: ``"error"`` (the default) refuses a target that has any when the
        job starts, ``"replace"`` replaces those of the same name, and ``"skip"`` keeps them, whatever
        they contain, and does not encode them again.
    frames_per_shard
        Write tar files of so many frames for WebDataset, rather than files. Each image has a ``.json``
        file beside it with the row's other columns, except arrays.
    storage_options
        Options of the target: those of obstore for s3, gs and az, otherwise those of fsspec.
    """

    ext: str
    quality: int | None
    compression_level: int | None
    image_format: ImageFormat
    column: str
    name: Callable[[Row], str] | None
    overwrite: Overwrite
    frames_per_shard: int | None
    storage_options: Mapping[str, Any] | None


WRITE_DEFAULTS: dict[str, Any] = {
    "ext": "jpg",
    "quality": None,
    "compression_level": None,
    "image_format": "rgb24",
    "column": "image",
    "name": None,
    "overwrite": "error",
    "frames_per_shard": None,
    "storage_options": None,
}
"""Default of each option."""


class FrameFiles(Datasink[None]):
    """Image files of rows, for ``Dataset.write_datasink``. `write_frames` is the short way.

    A file appears only once complete, and a task that Ray runs again writes the same files again.

    Parameters
    ----------
    target
        A directory, which all nodes have to share, or the URL of a bucket or of a directory on one of
        fsspec's filesystems. Directories are created.
    **options
        See `WriteFilesOptions`.

    Raises
    ------
    ValueError
        An option is invalid, or an encoder refuses it.
    """

    @with_options(WriteFilesOptions, name="FrameFiles", defaults=WRITE_DEFAULTS)
    def __init__(self, target: str | os.PathLike[str], **options: Unpack[WriteFilesOptions]) -> None:
        given: dict[str, Any] = {**WRITE_DEFAULTS, **options}
        if given["overwrite"] not in get_args(Overwrite):
            expected = ", ".join(get_args(Overwrite))
            raise ValueError(f"overwrite={quoted_option(given['overwrite'])}: expected one of {expected}")
        if given["frames_per_shard"] is not None:
            check_counts(least=1, frames_per_shard=given["frames_per_shard"])
        self._encoding = {name: given[name] for name in ("quality", "compression_level", "image_format")}
        self._ext: str = without_dot(given["ext"])
        if given["image_format"] == "bgr24":
            raise ValueError('image_format="bgr24": expected "rgb24", because the encoders take RGB')
        encoder_for(self._ext, **self._encoding)
        self._column: str = given["column"]
        self._name: Callable[[Row], str] = given["name"] or default_name
        self._overwrite: Overwrite = given["overwrite"]
        self._per_shard: int | None = given["frames_per_shard"]
        self._target: Target = target_of(target, given["storage_options"] or {})

    def get_name(self) -> str:
        """Return the name of the write tasks."""
        return "FrameFiles"

    @property
    def min_rows_per_write(self) -> int | None:
        """How many rows a task writes at least: a whole shard."""
        return self._per_shard

    def on_write_start(self, schema: Any = None) -> None:
        """Prepare the target.

        Raises
        ------
        FrameExistsError
            It has files, and ``overwrite="error"``.
        FrameWriteError
            It is not usable, or the dataset has no column of images.
        """
        names = getattr(schema, "names", None)
        if names is not None and self._column not in names:
            known = ", ".join(names)
            raise FrameWriteError(f"column={quoted_option(self._column)}: the dataset has {known:.200}")
        if self._overwrite == "error":
            self._target.refuse_files()
        self._target.prepare()

    def write(self, blocks: Iterable[Block], ctx: Any) -> None:
        """Write the rows of a task."""
        rows = (row for row in _rows(blocks) if row.get(self._column) is not None)
        if self._per_shard is None:
            self._write_files(rows)
        else:
            self._write_shards(rows, ctx.task_idx, self._per_shard)

    def _write_files(self, rows: Iterable[Row]) -> None:
        for row in rows:
            path = f"{self._path(row)}.{self._ext}"
            if self._overwrite != "skip" or not self._target.has(path):
                self._target.put(path, self._encoded(row))

    def _write_shards(self, rows: Iterable[Row], task: int, most: int) -> None:
        # A task has the same number when it runs again, and then replaces its own shards.
        waiting = iter(rows)
        for number, first in enumerate(waiting):
            path = f"{task:06d}-{number:06d}.tar"
            if self._overwrite == "skip" and self._target.has(path):
                for _ in zip(range(most - 1), waiting, strict=False):
                    pass
                continue
            with self._target.writing(path) as file, tarfile.open(fileobj=file, mode="w") as tar:
                self._add(tar, first)
                for _, row in zip(range(most - 1), waiting, strict=False):
                    self._add(tar, row)

    def _add(self, tar: tarfile.TarFile, row: Row) -> None:
        path = self._path(row)
        facts = {name: _plain(value) for name, value in row.items() if name != self._column}
        said = {name: value for name, value in facts.items() if value is not _ARRAY}
        for ext, data in ((self._ext, self._encoded(row)), ("json", json.dumps(said).encode())):
            info = tarfile.TarInfo(f"{path}.{ext}")
            info.size = len(data)
            tar.addfile(info, BytesIO(data))

    def _path(self, row: Row) -> str:
        path = PurePosixPath(self._name(row))
        if path.is_absolute() or ".." in path.parts or not path.name:
            raise FrameWriteError(
                f"{quoted_option(str(path))} is no path below the target: expected one", path=str(path)
            )
        return str(path)

    def _encoded(self, row: Row) -> bytes:
        image = row[self._column]
        if isinstance(image, bytes):
            return image
        return _encoder(self._ext, **self._encoding)(np.ascontiguousarray(image))


@cache
def _encoder(ext: str, **encoding: Any) -> Encoder:
    # Each is tried out when it is made, which takes longer than a small image.
    return encoder_for(ext, **encoding)


def default_name(row: Row) -> str:
    """Return the path of a row's file below the target, without its extension."""
    index = row.get("index")
    file = "frame" if index is None else f"frame_{index:06d}"
    source = row.get("source")
    if not isinstance(source, str):
        return file
    told_apart = hashlib.blake2b(source.encode(errors="surrogatepass"), digest_size=4).hexdigest()
    last = "".join(
        one if one.isalnum() or one in "._-" else "_" for one in source.rstrip("/").rpartition("/")[2]
    )
    return f"{last[:80].replace('.', '_')}-{told_apart}/{file}"


_ARRAY: Literal["an array"] = "an array"


def _plain(value: Any) -> Any:
    """Return a value for JSON."""
    if isinstance(value, np.ndarray):
        return _ARRAY
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and value != value:
        return None
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def _rows(blocks: Iterable[Block]) -> Iterator[Row]:
    for block in blocks:
        yield from BlockAccessor.for_block(block).iter_rows(public_row_format=True)


@with_options(WriteFilesOptions, name="write_frames", defaults=WRITE_DEFAULTS)
def write_frames(
    dataset: Dataset,
    target: str | os.PathLike[str],
    *,
    concurrency: int | None = None,
    **options: Unpack[WriteFilesOptions],
) -> None:
    """Write the rows of a dataset as image files, or as shards for WebDataset, and wait for the end.

    Parameters
    ----------
    dataset
        Rows with images, such as those of `read_frames`.
    target
        A directory, which all nodes have to share, or the URL of a bucket or of a directory on one of
        fsspec's filesystems.
    concurrency
        Most tasks at a time.
    **options
        What is written and how; see `WriteFilesOptions`.

    Raises
    ------
    FrameWriteError
        A file cannot be stored; `FrameExistsError` if the target has files.
    ValueError
        An option is invalid.
    """
    dataset.write_datasink(FrameFiles(target, **options), concurrency=concurrency)
