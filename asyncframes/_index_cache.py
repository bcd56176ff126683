"""A folder of frame tables, so that a source is scanned once and not once a process. All calls block."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from contextlib import suppress
from pathlib import Path

from asyncframes._archive import ArchiveError
from asyncframes._table import FrameTable, SourceIdentity

_log = logging.getLogger("asyncframes")

# Raised whenever an entry may no longer mean what it meant; the older folder is then never looked into.
_FOLDER_VERSION = 1
_SUFFIX = ".table"
_STALE_SECONDS = 3600.0


def cache_key(name: str, identity: SourceIdentity, *, head: bytes, made_by: str) -> str | None:
    """Name the cache entry of a source.

    Parameters
    ----------
    name
        `StreamSource.name`, which holds no secrets; only its hash is kept.
    identity
        Size, validator and stream.
    head
        The first bytes of the source: queries and mirrors may share a name.
    made_by
        Program that lists the packets; another version may list them differently.

    Returns
    -------
    str or None
        ``None`` where a change of the source could go unnoticed.
    """
    if identity.size is None or identity.validator is None:
        return None
    facts = [name, identity.size, identity.validator, identity.stream_index, made_by]
    digest = hashlib.sha256(json.dumps(facts).encode())
    digest.update(head)
    return digest.hexdigest()


class IndexCache:
    """Tables by key, the least recently used ones removed; several processes may share the folder.

    A file system that refuses is as good as an empty cache.

    Parameters
    ----------
    folder
        Where it is; made with the first entry.
    max_bytes
        Bound on the size of all entries, kept to whenever one is added.
    """

    def __init__(self, folder: str | os.PathLike[str], *, max_bytes: int) -> None:
        self._folder = Path(folder) / f"v{_FOLDER_VERSION}"
        self._max_bytes = max_bytes

    def load(self, key: str) -> FrameTable | None:
        """Return an entry, ``None`` where there is none that can be used."""
        path = self._path(key)
        try:
            table = FrameTable.load(path)
            os.utime(path)
        except FileNotFoundError:
            return None
        except (OSError, ArchiveError) as exc:
            _log.debug("the index is built anew: %s", exc)
            return None
        return table

    def save(self, key: str, table: FrameTable) -> None:
        """Add or replace an entry."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            table.save(self._path(key))
            self._make_room()
        except OSError as exc:
            _log.debug("the index is not kept: %s", exc)

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}{_SUFFIX}"

    def _make_room(self) -> None:
        entries = []
        with os.scandir(self._folder) as found:
            for entry in found:
                with suppress(OSError):  # another process may have removed it
                    facts = entry.stat(follow_symlinks=False)
                    if entry.name.endswith(_SUFFIX):
                        entries.append((facts.st_mtime, facts.st_size, entry.path))
                    elif entry.name.endswith(".tmp") and facts.st_mtime < time.time() - _STALE_SECONDS:
                        Path(entry.path).unlink()
        excess = sum(size for _, size, _ in entries) - self._max_bytes
        for _, size, path in sorted(entries)[:-1]:
            if excess <= 0:
                return
            Path(path).unlink(missing_ok=True)
            excess -= size
