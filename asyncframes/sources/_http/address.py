"""Addresses for HTTP, the caller's and those that servers redirect to, checked before they are used."""

from __future__ import annotations

import re
from ipaddress import ip_address

from yarl import URL

from asyncframes._model.quoting import shortened
from asyncframes.errors import SourceAccessError, SourceAddressError
from asyncframes.sources._names import public_url

_QUOTED_URL = re.compile(r"(?:[!#$&-;=?@A-Z\[\]_a-z~]|%[0-9A-Fa-f]{2})+")
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_MOST_HOST_CHARACTERS = 253

# Bytes of a header that are not UTF-8, as aiohttp decodes them.
_RAW_BYTE = re.compile("[\udc80-\udcff]")


def parse_url(text: str) -> URL:
    """Read a URL of the caller's, keeping the quoting it has.

    Raises
    ------
    SourceAddressError
        It is no http or https URL, or its host or port is impossible.
    """
    if not isinstance(text, str):
        raise TypeError(f"a URL is text, not a {type(text).__name__}")
    try:
        url = _read(text)
        reason = _fault(url)
    except ValueError:
        reason = "it cannot be read"
    if reason:
        raise SourceAddressError(
            f"not an http or https URL that can be opened: {reason}", source=public_url(text)
        )
    return url


def redirected(url: URL, location: str, *, name: str) -> URL:
    """Find where a `Location` leads, without its fragment and user info.

    Raises
    ------
    SourceAccessError
        To something other than HTTP, or nowhere.
    """
    try:
        target = url.join(_read(_RAW_BYTE.sub(_quoted_byte, location))).with_fragment(None)
        reason = _fault(target)
        if not reason:
            return target.with_user(None) if target.user else target
    except ValueError:
        reason = "it cannot be read"
    raise SourceAccessError(
        f"the server redirects to an address that cannot be opened: {reason}", source=name
    )


def _read(text: str) -> URL:
    """Take a URL as it is written: a signature may cover the query, and yarl would requote ``%2F`` there."""
    text.encode()  # yarl leaves lone surrogates out, and the rest would be another address
    try:
        return URL(text, encoded=_QUOTED_URL.fullmatch(text) is not None)
    except (IndexError, KeyError, OverflowError, RecursionError, TypeError) as exc:
        raise ValueError("yarl cannot read it") from exc


def _quoted_byte(match: re.Match[str]) -> str:
    return f"%{ord(match[0]) - 0xDC00:02X}"


def _fault(url: URL) -> str | None:
    """Say what is wrong with a URL.

    Raises
    ------
    ValueError
        So much that it cannot be taken apart.
    """
    if url.scheme not in {"http", "https"}:
        return f"its scheme is {shortened(url.scheme, longest=40) or 'missing'}"
    # `host` is decoded where it is asked for, by aiohttp too, and some hosts cannot be.
    if not url.raw_host or not url.host or url.port is None:
        return "it names no host"
    return _host_fault(url.raw_host)


def _host_fault(host: str) -> str | None:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        labels = host.removesuffix(".").split(".")
        if len(host) > _MOST_HOST_CHARACTERS or not all(map(_LABEL.fullmatch, labels)):
            return "no host can have its name"
        # The name goes through this codec on its way to the system's resolver, and it refuses some more.
        host.encode("idna")
    return None
