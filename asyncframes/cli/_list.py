"""Lists of videos, and the directories that their frames go to."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qsl, unquote, urlsplit

from asyncframes.sources._data_url import is_data_url
from asyncframes.sources._names import public_url

_MOST_BYTES = 64 << 20
_LONGEST_STEM = 100

# These parameters change with each signature of the same address, so they do not identify a video.
_SIGNATURE = re.compile(
    r"x-(amz|goog)-.*|awsaccesskeyid|googleaccessid|key-pair-id|policy|signature|expires"
    r"|s[a-z]{1,2}|skoid|sktid|.*token.*|.*secret.*|.*key",
    re.IGNORECASE,
)


def read_list(name: str, *, is_null_separated: bool) -> list[str]:
    """Read a list of videos without duplicates. Undecodable bytes are kept, as in file names.

    Raises
    ------
    ValueError
        The list names no videos, or is not a list.
    """
    data = _read(name)
    if len(data) > _MOST_BYTES or (b"\0" in data and not is_null_separated):
        raise ValueError(f"{name}: expected one name per line, or names separated by NUL with -0")
    lines = data.removeprefix(b"\xef\xbb\xbf").split(b"\0" if is_null_separated else b"\n")
    names = [os.fsdecode(line.removesuffix(b"\r")) for line in lines if line.strip()]
    if not names:
        raise ValueError(f"{name}: the list names no videos")
    return list(dict.fromkeys(names))


def directory_name(source: str) -> str:
    """Name the directory of a video after its name and location alone, so that a resumed run finds it."""
    if is_data_url(source):
        stem, place = "data", source
    elif "://" in source:
        parts = urlsplit(public_url(source))
        stem = PurePosixPath(unquote(parts.path)).stem
        place = "\n".join([parts.geturl(), *_identifying(source)])
    else:
        stem, place = Path(source).stem, os.path.abspath(source)  # noqa: PTH100 - keeps links
    digest = hashlib.blake2b(os.fsencode(place), digest_size=4).hexdigest()
    return f"{stem.replace('/', '_').replace(chr(0), '_')[:_LONGEST_STEM] or 'video'}-{digest}"


def _identifying(url: str) -> list[str]:
    """Return the parts of a query that may identify a video, without secrets."""
    query = url.partition("?")[2].partition("#")[0]
    pairs = parse_qsl(query, keep_blank_values=True, errors="surrogateescape")
    return [f"{name}={value}" for name, value in pairs if not _SIGNATURE.fullmatch(name)]


def _read(name: str) -> bytes:
    if name == "-":
        return sys.stdin.buffer.read(_MOST_BYTES + 1)
    with Path(name).open("rb") as file:
        return file.read(_MOST_BYTES + 1)
