"""Sources that other processes open: checked where they are given, and sent unopened."""

from __future__ import annotations

import os
from collections.abc import Iterable
from copy import copy

from asyncframes.sources._names import text_of
from asyncframes.sources._registry import SourceLike, resolve_source


def picklable_sources(sources: Iterable[SourceLike]) -> list[SourceLike]:
    """Return sources that can be pickled: addresses unchanged, anything else resolved.

    Raises
    ------
    NotPicklableError
        A source belongs to this process.
    SourceAddressError
        A path, or the first URL of a scheme, is invalid.
    """
    found: list[SourceLike] = []
    schemes: set[str] = set()
    for source in sources:
        if (text := text_of(source)) is not None and "://" in text:
            # A client of a cloud takes milliseconds to make, so one address of each scheme has to do.
            if (scheme := text.partition("://")[0]) not in schemes:
                resolve_source(text)
                schemes.add(scheme)
            found.append(text)
        elif isinstance(source, (str, os.PathLike)):
            resolve_source(source)
            found.append(source)
        else:
            resolved = resolve_source(source)
            resolved.__reduce_ex__(4)
            found.append(resolved)
    return found


def source_to_open(source: SourceLike) -> SourceLike:
    """Return what to open once: a source is closed with its video, and the next opening needs another."""
    return source if isinstance(source, (str, os.PathLike)) else copy(source)
