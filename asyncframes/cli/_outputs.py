"""Files that commands write beside those of frames: pictures of many frames, and tables."""

from __future__ import annotations

import argparse
import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import get_args

from asyncframes._frames.encoders import encoder_for
from asyncframes._runtime.temporaries import sweep, temporary_beside
from asyncframes._runtime.whole_files import WholeFile
from asyncframes._types import Overwrite
from asyncframes.errors import FrameExistsError, FrameWriteError
from asyncframes.writers._files import reason_of


def add_overwrite_option(parser: argparse.ArgumentParser) -> None:
    """Add --overwrite, with the same default as for files of frames."""
    parser.add_argument(
        "--overwrite",
        choices=get_args(Overwrite),
        default="error",
        help="if the file exists: stop, keep it and do nothing, or replace it (default: error)",
    )


def refuse_unless_image(out: Path) -> None:
    """Refuse a file whose extension is not that of an image.

    Raises
    ------
    ValueError
        No encoder writes the extension.
    """
    try:
        encoder_for(out.suffix)
    except ValueError:
        raise ValueError(f"{out}: expected an image file extension such as .png or .jpg") from None


def are_kept(paths: Sequence[Path], overwrite: Overwrite) -> bool:
    """Whether all files exist and are to stay.

    Raises
    ------
    FrameExistsError
        A file exists, and `overwrite` is ``"error"``.
    """
    existing = [path for path in paths if _is_file(path)]
    if existing and overwrite == "error":
        raise _exists_error(existing[0])
    return overwrite == "skip" and len(existing) == len(paths)


@contextmanager
def written(path: Path, overwrite: Overwrite) -> Iterator[Path]:
    """Yield a temporary path. What the block writes there then gets the final path.

    Raises
    ------
    FrameExistsError
        A file appeared there meanwhile, and `overwrite` is ``"error"``.
    FrameWriteError
        The file system refuses. The error names `path`, not the temporary file.
    """
    file = WholeFile(path=path, temporary=temporary_beside(path))
    try:
        sweep(path.parent)
        yield file.temporary
        if overwrite == "error":
            _put_if_free(file)
        else:
            file.put()
    except OSError as exc:
        if isinstance(exc, FrameExistsError):
            raise
        raise FrameWriteError(f"{path} not written: {reason_of(exc)}", path=str(path)) from exc
    finally:
        file.discard()


def write(path: Path, data: bytes, overwrite: Overwrite) -> None:
    """Write a file, which appears only once complete; raises as `written` does."""
    with written(path, overwrite) as temporary:
        temporary.write_bytes(data)


def _is_file(path: Path) -> bool:
    # A name that is too long is an error when the file is written.
    with suppress(OSError):
        return path.is_file()
    return False


def _put_if_free(file: WholeFile) -> None:
    if file.path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    try:
        file.put_if_free()
    except FileExistsError as exc:
        raise _exists_error(file.path) from exc


def _exists_error(path: Path) -> FrameExistsError:
    return FrameExistsError(
        f"{path} already exists; pass overwrite='replace' or 'skip' to allow it", path=str(path)
    )
