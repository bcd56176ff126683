"""Several videos of one command line, and the directories that their frames go to."""

from __future__ import annotations

import argparse
import glob
import hashlib
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qsl, unquote, urlsplit

from asyncframes._model.quoting import quoted_option
from asyncframes.cli._sources.addresses import Addresses, scheme_of
from asyncframes.sources._data_url import is_data_url
from asyncframes.sources._directories.listing import is_path
from asyncframes.sources._names import public_url

_MOST_BYTES = 64 << 20
_LONGEST_STEM = 100
_LISTS = {".lst", ".list", ".txt"}

# What a file's name cannot contain.
_REFUSED = re.compile(r"[/\0]")
_REFUSED_BY_WINDOWS = re.compile(r'[/\\:*?"<>|\x00-\x1f]')

# These parameters change with each signature of the same address, so they do not identify a video.
_SIGNATURE = re.compile(
    r"x-(amz|goog)-.*|awsaccesskeyid|googleaccessid|key-pair-id|policy|signature|expires"
    r"|s[a-z]{1,2}|skoid|sktid|.*token.*|.*secret.*|.*key",
    re.IGNORECASE,
)


def addresses_of(words: Sequence[str], addresses: Addresses, *, is_null_separated: bool) -> list[str]:
    """Return the addresses that words stand for, each once.

    Parameters
    ----------
    words
        Paths, URLs, directories, patterns, and ``@LIST`` for a list of names, which are taken literally.
    addresses
        How directories and patterns are listed.
    is_null_separated
        Whether names in lists are separated by NUL.

    Raises
    ------
    argparse.ArgumentError
        A list is given as if it were a video, or ``-0`` without a list.
    ValueError
        A list names no videos, or is not a list.
    SourceError
        A directory or a pattern has no videos, or cannot be listed.
    """
    if is_null_separated and not any(word.startswith("@") for word in words):
        raise argparse.ArgumentError(None, "argument -0/--null: expected a list, such as @videos.txt or @-")
    found: list[str] = []
    for word in words:
        if word.startswith("@"):
            found += read_list(word[1:], is_null_separated=is_null_separated)
        else:
            found += _expanded(word, addresses)
    return list(dict.fromkeys(found))


def _expanded(word: str, addresses: Addresses) -> list[str]:
    """Expand directories and patterns. A path that leads nowhere fails later, and stops no other video."""
    if word == "-" or (PurePosixPath(word).suffix.lower() in _LISTS and scheme_of(word) == ""):
        raise argparse.ArgumentError(
            None, f"{quoted_option(word)} is not a video: write @{word} for a list of videos"
        )
    is_literal = not glob.has_magic(word) or Path(word).exists()
    if is_path(word) and is_literal and not Path(word).is_dir():
        return [word]
    return addresses.expanded(word)


def read_list(name: str, *, is_null_separated: bool) -> list[str]:
    """Read a list of videos without duplicates. Undecodable bytes are kept, as in file names.

    Raises
    ------
    ValueError
        The list names no videos, or is not a list.
    """
    data = _read(name)
    if len(data) > _MOST_BYTES or (b"\0" in data and not is_null_separated):
        raise ValueError(f"@{name}: expected one name per line, or names separated by NUL with -0")
    lines = data.removeprefix(b"\xef\xbb\xbf").split(b"\0" if is_null_separated else b"\n")
    names = [os.fsdecode(line.removesuffix(b"\r")) for line in lines if line.strip()]
    if not names:
        raise ValueError(f"@{name}: the list names no videos")
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
    refused = _REFUSED_BY_WINDOWS if sys.platform == "win32" else _REFUSED
    return f"{refused.sub('_', stem)[:_LONGEST_STEM] or 'video'}-{digest}"


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
