"""A folder of frame tables, so that a source is scanned once, not once per process. All calls block."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from contextlib import suppress
from pathlib import Path

from asyncframes._model.archive import ArchiveError
from asyncframes._model.quoting import shortened
from asyncframes._model.table import FrameTable, SourceIdentity
from asyncframes._runtime.temporaries import sweep

_log = logging.getLogger("asyncframes")

# Increase this when the meaning of entries changes: folders of older versions are ignored.
_FOLDER_VERSION = 1
_SUFFIX = ".table"


def cache_key(name: str, identity: SourceIdentity, *, head: bytes, made_by: str) -> str | None:
    """Name the cache entry of a source.

    Parameters
    ----------
    name
        `StreamSource.name`, which holds no secrets. Only its hash is stored.
    identity
        Size, validator and stream.
    head
        The first bytes of the source, because different sources may share a name: the name
        of a URL leaves out its query.
    made_by
        The program that lists the packets. Another version may list them differently.

    Returns
    -------
    str or None
        ``None`` if a change of the source could go unnoticed.
    """
    if identity.size is None or identity.validator is None:
        return None
    facts = [name, identity.size, identity.validator, identity.stream_index, made_by]
    digest = hashlib.sha256(json.dumps(facts).encode())
    digest.update(head)
    return digest.hexdigest()


class TableCache:
    """Stores tables by key, and removes the least recently used. Several processes may share the folder.

    If the file system fails, the cache behaves as if it were empty, and logs one warning.

    Parameters
    ----------
    folder
        Where the tables are stored. Created with the first entry.
    max_bytes
        Limit on the total size of the entries, enforced when an entry is added.
    """

    def __init__(self, folder: str | os.PathLike[str], *, max_bytes: int) -> None:
        self._folder = Path(folder) / f"v{_FOLDER_VERSION}"
        self._max_bytes = max_bytes
        self._has_warned = False

    def load(self, key: str) -> FrameTable | None:
        """Return an entry, or ``None`` if there is no usable one."""
        path = self._path(key)
        try:
            table = FrameTable.load(path)
            os.utime(path)
        except FileNotFoundError:
            return None
        except ArchiveError as exc:
            _log.debug("rebuilding the frame table: %s", exc)
            return None
        except OSError as exc:
            self._warn(exc)
            return None
        return table

    def save(self, key: str, table: FrameTable) -> None:
        """Add or replace an entry."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            table.save(self._path(key))
            self._make_room()
        except OSError as exc:
            self._warn(exc)

    def _warn(self, exc: OSError) -> None:
        if not self._has_warned:
            self._has_warned = True
            _log.warning(
                "table_cache %s is not usable, so frame tables are not stored: %s",
                shortened(str(self._folder.parent)),
                exc.strerror or type(exc).__name__,
            )

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}{_SUFFIX}"

    def _make_room(self) -> None:
        sweep(self._folder)
        entries = []
        with os.scandir(self._folder) as found:
            for entry in found:
                with suppress(OSError):  # another process may have removed it
                    facts = entry.stat(follow_symlinks=False)
                    if entry.name.endswith(_SUFFIX) and not entry.name.startswith("."):
                        entries.append((facts.st_mtime, facts.st_size, entry.path))
        excess = sum(size for _, size, _ in entries) - self._max_bytes
        for _, size, path in sorted(entries)[:-1]:
            if excess <= 0:
                return
            Path(path).unlink(missing_ok=True)
            excess -= size
