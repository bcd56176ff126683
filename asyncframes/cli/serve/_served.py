"""The videos that ``asyncframes serve`` serves, by name."""

from __future__ import annotations

import asyncio
import glob
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from asyncframes._model.quoting import shortened
from asyncframes.cli._sources.addresses import Addresses
from asyncframes.cli.sheet import last_part
from asyncframes.errors import SourceNotFoundError
from asyncframes.sources import SourceLike
from asyncframes.sources._directories.listing import absolute, is_path
from asyncframes.sources._names import name_of

# A directory is listed again when a name is asked for that it did not have, but not more often than this.
_FRESH_SECONDS = 2.0


class ServedVideos:
    """Videos by name: files and URLs by their last part, those of directories by their path below it.

    Parameters
    ----------
    sources
        Paths, URLs, directories and patterns.
    addresses
        How they are opened and listed.
    """

    def __init__(self, sources: Sequence[str], addresses: Addresses) -> None:
        self._sources = [*sources]
        self._addresses = addresses
        self._videos: dict[str, str] = {}
        self._listed_at = float("-inf")
        self._listing = asyncio.Lock()

    def check(self) -> None:
        """Refuse paths that lead nowhere. This looks at the disk.

        Raises
        ------
        SourceNotFoundError
            There is no such file or directory.
        """
        for source in self._sources:
            if is_path(source) and not Path(source).exists() and not glob.has_magic(source):
                raise SourceNotFoundError("there is no such file or directory", source=name_of(source))

    async def names(self) -> list[str]:
        """Return the names, in order.

        Raises
        ------
        SourceError
            A directory cannot be listed, or has no videos.
        """
        await self._list_again()
        return [*self._videos]

    async def source(self, name: str) -> SourceLike | None:
        """Return a source by its name; ``None`` if there is none."""
        if name not in self._videos:
            await self._list_again()
        address = self._videos.get(name)
        return None if address is None else await asyncio.to_thread(self._addresses.source, address)

    async def _list_again(self) -> None:
        async with self._listing:
            now = asyncio.get_running_loop().time()
            if now - self._listed_at >= _FRESH_SECONDS:
                self._videos = await asyncio.to_thread(lambda: dict(self._named()))
                self._listed_at = now

    def _named(self) -> Iterator[tuple[str, str]]:
        taken: set[str] = set()
        for given in map(absolute, self._sources):
            for address in self._addresses.expanded(given):
                name = _unused(_name(address, given), taken)
                taken.add(name)
                yield name, address


def _name(source: str, given: str) -> str:
    """Name a video after its path below the directory that was given, or after its file."""
    path, root = _path_of(source), _path_of(given).rstrip("/") + "/"
    return path.removeprefix(root) if path.startswith(root) else last_part(source) or source


def _path_of(source: str) -> str:
    """Return the path without a scheme. File systems differ in how many slashes they put before it."""
    path = source.rpartition("://")[2].lstrip("/")
    return path.replace("\\", "/") if sys.platform == "win32" else path


def _unused(name: str, taken: set[str]) -> str:
    path, number, unused = PurePosixPath(name), 1, name
    while unused in taken:
        number += 1
        unused = str(path.with_name(f"{path.stem}-{number}{path.suffix}"))
    return unused


def as_directory(root: str) -> str:
    """Return a root as what is listed: a URL of a directory ends with a slash.

    Raises
    ------
    ValueError
        It cannot be listed.
    """
    if root.lower().startswith(("http://", "https://", "data:")):
        raise ValueError(
            f"{shortened(name_of(root))} cannot be listed: expected a directory or the URL of a bucket"
        )
    return root if "://" not in root or root.endswith("/") else f"{root}/"
