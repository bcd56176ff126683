"""Recognises a request that was finished before, without opening its video."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import Executor
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

import numpy as np

from asyncframes._model.entries import Entries, Unread
from asyncframes._model.options import OpenOptions, SaveOptions, option
from asyncframes._model.selection import FEW
from asyncframes._requests.request import Request
from asyncframes._runtime.threads import in_thread, shared_executor
from asyncframes._saving.made_of import facts_of_source, name_of_file
from asyncframes.errors import FrameMismatchError
from asyncframes.sources import LocalSource, SourceLike
from asyncframes.sources._local import identity_of
from asyncframes.writers._manifest import Manifest

_FILES = ("ext", "template", "quality", "compression_level")
_OPENING = (
    "allow_containers",
    "max_pixels",
    "max_read_bytes",
    "max_table_frames",
    "on_corrupt",
    "seek_mode",
    "stream_index",
)
"""Options of `open_video` that decide what a request yields, or whether it is refused."""

_UNCOMPARED = ("policy", "isolation", "frame_table")
"""Options that have no short text to compare."""


def key_of(request: Request, options: SaveOptions, opening: OpenOptions) -> str | None:
    """Return a text that is the same for the same request; ``None`` if there is none.

    That is so for iterators that are not read yet, long lists, an `image_writer`, and a policy.
    """
    selection = request.selection
    if any(_is_long(named) for named in (selection.indices, selection.times)):
        return None
    if option(options, "image_writer") is not None or any(
        opening.get(name) is not None for name in _UNCOMPARED
    ):
        return None
    said = [
        *(getattr(selection, one.name) for one in fields(selection)),
        *astuple(request.rendering),
        *(option(options, name) for name in _FILES),
        *(option(opening, name) for name in _OPENING),
    ]
    return hashlib.blake2b("\n".join(map(_text, said)).encode(), digest_size=16).hexdigest()


async def finished_paths(
    source: SourceLike, directory: str | os.PathLike[str], key: str, executor: Executor | None
) -> list[str] | None:
    """Return the files of a finished request for a local file that has not changed; ``None`` if unknown."""
    path = source.name if isinstance(source, LocalSource) else source
    path = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(path, str) or "://" in path:
        return None
    executor = executor or shared_executor()
    return await in_thread(executor, _finished_paths, path, os.fspath(directory), key)


def _finished_paths(path: str, output_dir: str, key: str) -> list[str] | None:
    directory = Path(output_dir).absolute()
    try:
        size, validator = identity_of(path)
        source = facts_of_source(name_of_file(path), size, validator)
        return Manifest.load(directory).files_of(directory, key, source)
    except (FrameMismatchError, OSError, ValueError):
        # The usual way meets the same obstacle, and says where.
        return None


def _is_long(named: Entries | Unread | None) -> bool:
    return isinstance(named, Unread) or (named is not None and len(named) > FEW)


def _text(value: Any) -> str:
    return repr(value.tolist()) if isinstance(value, np.ndarray) else repr(value)
