"""Names of sources for errors and logs, without secrets."""

from __future__ import annotations

import os
import re
from typing import Protocol, runtime_checkable
from urllib.parse import urlsplit

import numpy as np

from asyncframes._model.quoting import a_kind, quoted_option, shortened
from asyncframes.abc import Source
from asyncframes.errors import SourceAddressError
from asyncframes.sources._data_url import is_data_url, name_of_data_url

_LONGEST_TEXT = 1000
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")


def scheme_of(url: str) -> str:
    """Return the scheme of an address in lower case, ``""`` if it has none.

    Raises
    ------
    SourceAddressError
        The address is malformed.
    """
    try:
        return urlsplit(url).scheme.lower()
    except ValueError:
        raise SourceAddressError("the address is malformed", source=public_url(url)) from None


def public_url(url: str) -> str:
    """Return a URL without user info, query and fragment."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        # A password that contains a slash makes the user name the host and the password's start the port.
        _ = parts.port
    except ValueError:
        scheme = url.partition("://")[0]
        return f"{scheme}://…" if _SCHEME.fullmatch(scheme) else "a malformed URL"
    if not parts.netloc and "://" not in url:
        return _without_secrets(url)
    return f"{parts.scheme}{':' if parts.scheme else ''}//{host}{parts.path}"


@runtime_checkable
class ParsedUrl(Protocol):
    """A URL that was parsed: `yarl.URL`, `httpx.URL` or a URL of pydantic. Its `str` is the text."""

    @property
    def scheme(self) -> str: ...
    @property
    def host(self) -> str | None: ...


def text_of(source: object) -> str | None:
    """Return text, or that of a parsed URL; ``None`` for everything else that `open_video` accepts."""
    if isinstance(source, str):
        return source
    if isinstance(source, Source) or not isinstance(source, ParsedUrl):
        return None
    text = str(source)
    return text if text.startswith(f"{source.scheme}:") else None


def public_name(name: str) -> str:
    """Return a path unchanged, and a URL without its secrets."""
    return public_url(name) if "://" in name else name


def name_of(source: object) -> str:
    """Name anything that `open_video` accepts: shortened, without secrets, without reading it."""
    match source:
        case Source():
            return shortened(source.name)
        case os.PathLike():
            return shortened(os.fsdecode(source))
        case bytes() | bytearray() | memoryview():
            return f"{len(source)} bytes in memory"
        case np.ndarray():
            return f"{source.nbytes} bytes in memory"
        case int():
            return f"file descriptor {quoted_option(source)}"
    if (text := text_of(source)) is not None:
        if is_data_url(text):
            return name_of_data_url(text)
        return shortened("::".join(public_name(part) for part in text.split("::")))
    name = getattr(source, "name", None)
    return name_of(name) if isinstance(name, str) else a_kind(source)


def harmless_cause(exc: BaseException) -> BaseException | None:
    """Return the exception if a traceback may show it, ``None`` if its text may contain an address.

    Libraries put whole URLs into their texts, and a query may be a signature.
    """
    text = str(exc)
    return None if "://" in text or len(text) > _LONGEST_TEXT else exc


def _without_secrets(text: str) -> str:
    """Remove the secrets from a URL whose scheme is missing."""
    login, at, rest = re.split(r"[?#]", text, maxsplit=1)[0].partition("@")
    return rest if at and "/" not in login else login + at + rest
