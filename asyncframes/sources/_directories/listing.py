"""Directories and patterns as lists of videos: local, of object stores, and of fsspec's filesystems."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

from asyncframes._model.quoting import quoted
from asyncframes._policy.policy import Policy
from asyncframes.errors import SourceError, SourceNotFoundError, SourceUnavailableError
from asyncframes.sources import FsspecSource, HttpSource, ObjectStoreSource, SourceLike
from asyncframes.sources._admission import admit_schemes
from asyncframes.sources._fsspec.source import import_fsspec, is_fsspec_scheme
from asyncframes.sources._names import harmless_cause, name_of
from asyncframes.sources._object_store.errors import as_source_error
from asyncframes.sources._object_store.source import make_store
from asyncframes.sources._registry import schemes_of_text

Listed: TypeAlias = tuple[SourceLike, int | None]
"""A source and its length in bytes, ``None`` if it was not asked for."""

VIDEO_SUFFIXES = {
    *(
        ".3g2",
        ".3gp",
        ".asf",
        ".avi",
        ".divx",
        ".dv",
        ".f4v",
        ".flv",
        ".gxf",
        ".m1v",
        ".m2t",
        ".m2ts",
        ".m2v",
    ),
    *(".m4v", ".mj2", ".mjpeg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".nut", ".ogm"),
    *(".ogv", ".qt", ".rm", ".rmvb", ".ts", ".vob", ".webm", ".wmv", ".wtv", ".y4m"),
}
"""Suffixes of the files that a directory contributes."""

_CLOUDS = {"s3", "gs", "az"}
_PATTERN = re.compile(r"[*?\[]")
# In a URL, a question mark begins the query.
_PATTERN_IN_URL = re.compile(r"[*\[]")


def list_videos(text: str, options: Mapping[str, Any], policy: Policy | None) -> list[Listed]:
    """Return the videos that text stands for: itself, those of a directory, or those that match a pattern.

    Raises
    ------
    SourceNotFoundError
        A directory or a pattern has no videos.
    SourceError
        It cannot be listed.
    PolicyAccessError
        The policy does not allow its scheme.
    """
    schemes = schemes_of_text(text)
    if policy is not None:
        admit_schemes(schemes, policy.schemes, name=name_of(text))
    if is_path(text):
        return _list_local(absolute(text))
    is_listable = "::" not in text and (schemes[0] in _CLOUDS or is_fsspec_scheme(schemes[0]))
    if schemes[0] in {"http", "https"} or not is_listable or not _is_several(text):
        return [(with_options(text, options), None)]
    listed = _list_objects if schemes[0] in _CLOUDS else _list_fsspec
    return _some(text, [(with_options(url, options), size) for url, size in listed(text, options)])


def is_path(text: str) -> bool:
    """Whether text is a path, and no URL."""
    return schemes_of_text(text) == ("file",) and not text.lower().startswith("file:")


def absolute(text: str) -> str:
    """Return a path as processes in other directories find it, and a URL unchanged."""
    return os.path.abspath(text) if is_path(text) else text  # noqa: PTH100 - `Path` leaves ".." in


def with_options(url: str, options: Mapping[str, Any]) -> SourceLike:
    """Return a URL, or the source that opens it with options."""
    scheme = url.partition("://")[0].lower()
    if not options or "://" not in url:
        return url
    if scheme in _CLOUDS:
        return ObjectStoreSource(url, **options)
    if scheme in {"http", "https"}:
        return HttpSource(url, **options)
    return FsspecSource(url, **options)


def _is_several(url: str) -> bool:
    return url.endswith("/") or bool(_PATTERN_IN_URL.search(url.partition("://")[2]))


def _some(text: str, listed: list[Listed]) -> list[Listed]:
    if not listed:
        kind = "matches the pattern" if _PATTERN_IN_URL.search(text) else "is in the directory"
        raise SourceNotFoundError(f"no video {kind}", source=name_of(text))
    return listed


def _list_local(text: str) -> list[Listed]:
    path = Path(text)
    if path.is_dir():
        # Sorted, so that the order of rows does not depend on the file system.
        found = (Path(folder, name) for folder, _, names in os.walk(path) for name in names)
        return _some(text, [(str(one), one.stat().st_size) for one in sorted(found) if _is_video(one)])
    if _PATTERN.search(text) and not path.exists():
        matches = (Path(one) for one in sorted(glob.glob(text, recursive=True)))  # noqa: PTH207 - whole paths
        return _some(text, [(str(one), one.stat().st_size) for one in matches if one.is_file()])
    return [(text, path.stat().st_size if path.is_file() else None)]


def _is_video(path: Path | PurePosixPath) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES and not path.name.startswith(".")


def _list_objects(url: str, options: Mapping[str, Any]) -> Iterator[tuple[str, int | None]]:
    import obstore
    from obstore.exceptions import BaseError

    scheme, _, rest = url.partition("://")
    bucket, _, key = rest.partition("/")
    root = f"{scheme}://{bucket}/"
    store = make_store(scheme.lower(), bucket, {**options})
    prefix = key[: found.start()] if (found := _PATTERN_IN_URL.search(key)) else key
    # obstore lists what is below whole parts of a key.
    prefix = prefix.rpartition("/")[0]
    try:
        objects = [one for chunk in obstore.list(store, prefix or None) for one in chunk]
    except (BaseError, OSError) as exc:
        raise as_source_error(exc, name=name_of(url)) from harmless_cause(exc)
    for one in sorted(objects, key=lambda one: str(one["path"])):
        if _belongs(str(one["path"]), key):
            yield root + str(one["path"]), int(one["size"])


def _list_fsspec(url: str, options: Mapping[str, Any]) -> Iterator[tuple[str, int | None]]:
    import_fsspec()
    from fsspec.core import url_to_fs

    try:
        filesystem, path = url_to_fs(url, **options)
        found = (
            filesystem.glob(path, detail=True) if _has_pattern(path) else filesystem.find(path, detail=True)
        )
    except FileNotFoundError:
        return
    except Exception as exc:  # noqa: BLE001 - each filesystem has errors of its own
        raise _listing_error(exc, url) from harmless_cause(exc)
    for name, facts in sorted(found.items()):
        if facts.get("type") == "file" and (_has_pattern(path) or _is_video(PurePosixPath(name))):
            yield filesystem.unstrip_protocol(name), facts.get("size")


def _listing_error(exc: Exception, url: str) -> SourceError:
    what = f"it cannot be listed: {quoted(exc) if harmless_cause(exc) else type(exc).__name__}"
    return SourceUnavailableError(what, source=name_of(url))


def _has_pattern(text: str) -> bool:
    return bool(_PATTERN_IN_URL.search(text))


def _belongs(path: str, key: str) -> bool:
    """Whether an object is a video in a directory, or matches a pattern."""
    if not _has_pattern(key):
        return path.startswith(key) and _is_video(PurePosixPath(path))
    return re.fullmatch(_as_expression(key), path) is not None


def _as_expression(pattern: str) -> str:
    """Translate a pattern in which ``*`` stays within a part of a path and ``**`` does not."""
    pieces: Iterable[str] = re.findall(r"\*\*/?|\*|\[[^\]]+\]|.", pattern)
    known = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*"}
    return "".join(
        known.get(piece) or (piece.replace("[!", "[^") if len(piece) > 1 else re.escape(piece))
        for piece in pieces
    )
