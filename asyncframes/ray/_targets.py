"""Where files go: a directory, an object store, or one of fsspec's filesystems. All calls block."""

from __future__ import annotations

import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from asyncframes._runtime.temporaries import temporary_beside
from asyncframes._runtime.whole_files import whole_file, write_whole
from asyncframes.errors import FrameExistsError, FrameWriteError
from asyncframes.sources._fsspec.source import import_fsspec
from asyncframes.sources._names import harmless_cause, name_of
from asyncframes.sources._object_store.source import make_store
from asyncframes.sources._registry import schemes_of_text
from asyncframes.writers._files import prepare_directory, reason_of

_CLOUDS = {"s3", "gs", "az"}


class Target(ABC):
    """A place for files that appear only once complete. It can be pickled, and works in any process.

    Attributes
    ----------
    name
        For errors, without secrets.
    """

    name: str

    @abstractmethod
    def prepare(self) -> None:
        """Make the place ready, once."""

    @abstractmethod
    def is_empty(self) -> bool:
        """Whether there are no files."""

    @abstractmethod
    def has(self, path: str) -> bool:
        """Whether there is a file at a path below the place."""

    @abstractmethod
    def put(self, path: str, data: bytes) -> None:
        """Store a whole file, in place of any other."""

    @contextmanager
    def writing(self, path: str) -> Iterator[BinaryIO]:
        """Yield a file. It is stored unless the block raises."""
        with tempfile.TemporaryFile() as file:
            yield file
            file.seek(0)
            self._put_file(path, file)

    @abstractmethod
    def _put_file(self, path: str, file: BinaryIO) -> None: ...

    def refuse_files(self) -> None:
        """Refuse a place that has files already.

        Raises
        ------
        FrameExistsError
            It has some.
        """
        if not self.is_empty():
            raise FrameExistsError(
                f"{self.name} has files already: use another place, or pass overwrite='replace' or 'skip'",
                path=self.name,
            )

    def _error(self, path: str, exc: Exception) -> FrameWriteError:
        reason = (
            reason_of(exc)
            if isinstance(exc, OSError) and exc.strerror
            else str(harmless_cause(exc) or type(exc))
        )
        return FrameWriteError(f"{path:.100} was not stored in {self.name:.100}: {reason:.100}", path=path)


def target_of(place: str | os.PathLike[str], options: Mapping[str, Any]) -> Target:
    """Return the target for a path or a URL.

    Raises
    ------
    SourceAddressError
        No target is known for the scheme of the URL.
    """
    text = os.fsdecode(place)
    if "://" not in text:
        return LocalTarget(text)
    if schemes_of_text(text)[0] in _CLOUDS:
        return ObjectTarget(text, options)
    return FsspecTarget(text, options)


class LocalTarget(Target):
    """A directory on a file system that all nodes share, or that of one node."""

    def __init__(self, directory: str) -> None:
        self._directory = Path(directory).absolute()
        self._prepared: set[Path] = set()
        self.name = str(self._directory)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_prepared": set()}

    def prepare(self) -> None:
        try:
            prepare_directory(self._directory)
        except OSError as exc:
            raise self._error("", exc) from exc

    def is_empty(self) -> bool:
        return not self._directory.is_dir() or not any(self._directory.iterdir())

    def has(self, path: str) -> bool:
        return (self._directory / path).is_file()

    def put(self, path: str, data: bytes) -> None:
        try:
            write_whole(self._made(path), data)
        except OSError as exc:
            raise self._error(path, exc) from exc

    @contextmanager
    def writing(self, path: str) -> Iterator[BinaryIO]:
        """Yield a temporary file beside the final one."""
        try:
            with whole_file(self._made(path)) as temporary, temporary.open("xb") as file:
                yield file
        except OSError as exc:
            raise self._error(path, exc) from exc

    def _made(self, path: str) -> Path:
        whole = self._directory / path
        if whole.parent not in self._prepared:
            prepare_directory(whole.parent)
            self._prepared.add(whole.parent)
        return whole

    def _put_file(self, path: str, file: BinaryIO) -> None:
        self.put(path, file.read())


class ObjectTarget(Target):
    """A bucket, or a prefix of its keys, through obstore. A put is atomic."""

    def __init__(self, url: str, config: Mapping[str, Any]) -> None:
        self._scheme, _, rest = url.partition("://")
        self._bucket, _, self._prefix = rest.strip("/").partition("/")
        self._config = dict(config)
        self._made: Any = None
        self.name = name_of(url)
        self._store()

    def __getstate__(self) -> dict[str, Any]:
        # Clients belong to their process.
        return {**self.__dict__, "_made": None}

    def _store(self) -> Any:
        if self._made is None:
            self._made = make_store(self._scheme.lower(), self._bucket, dict(self._config))
        return self._made

    def _key(self, path: str) -> str:
        return f"{self._prefix}/{path}" if self._prefix else path

    def prepare(self) -> None:
        """Do nothing: a bucket has no directories."""

    def is_empty(self) -> bool:
        import obstore

        with self._errors(""):
            chunks = obstore.list(self._store(), self._prefix or None, chunk_size=1)
            return not any(len(chunk) for chunk in chunks)

    def has(self, path: str) -> bool:
        import obstore

        with self._errors(path):
            try:
                obstore.head(self._store(), self._key(path))
            except FileNotFoundError:
                return False
        return True

    def put(self, path: str, data: bytes) -> None:
        import obstore

        with self._errors(path):
            obstore.put(self._store(), self._key(path), data)

    def _put_file(self, path: str, file: BinaryIO) -> None:
        import obstore

        with self._errors(path):
            obstore.put(self._store(), self._key(path), file)

    @contextmanager
    def _errors(self, path: str) -> Iterator[None]:
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, OSError) as exc:
            raise self._error(path, exc) from harmless_cause(exc)


class FsspecTarget(Target):
    """A directory of one of fsspec's filesystems, in which a file is renamed once complete."""

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        import_fsspec()
        self._url = url.rstrip("/")
        self._options = dict(options)
        self.name = name_of(url)

    def _opened(self) -> tuple[Any, str]:
        from fsspec.core import url_to_fs

        filesystem, root = url_to_fs(self._url, **self._options)
        return filesystem, str(root)

    def prepare(self) -> None:
        with self._errors(""):
            filesystem, root = self._opened()
            filesystem.makedirs(root, exist_ok=True)

    def is_empty(self) -> bool:
        with self._errors(""):
            filesystem, root = self._opened()
            return not filesystem.exists(root) or not filesystem.find(root)

    def has(self, path: str) -> bool:
        with self._errors(path):
            filesystem, root = self._opened()
            return bool(filesystem.isfile(f"{root}/{path}"))

    def put(self, path: str, data: bytes) -> None:
        with self._errors(path), self._placed(path) as (filesystem, temporary):
            filesystem.pipe_file(temporary, data)

    def _put_file(self, path: str, file: BinaryIO) -> None:
        with (
            self._errors(path),
            self._placed(path) as (filesystem, temporary),
            filesystem.open(temporary, "wb") as out,
        ):
            while piece := file.read(1024**2):
                out.write(piece)

    @contextmanager
    def _placed(self, path: str) -> Iterator[tuple[Any, str]]:
        filesystem, root = self._opened()
        final = Path(root, path)
        temporary = str(temporary_beside(final))
        filesystem.makedirs(str(final.parent), exist_ok=True)
        try:
            yield filesystem, temporary
            filesystem.mv(temporary, str(final))
        except BaseException:
            if filesystem.exists(temporary):
                filesystem.rm_file(temporary)
            raise

    @contextmanager
    def _errors(self, path: str) -> Iterator[None]:
        try:
            yield
        except FrameWriteError:
            raise
        except Exception as exc:  # noqa: BLE001 - each filesystem has errors of its own
            raise self._error(path, exc) from harmless_cause(exc)
