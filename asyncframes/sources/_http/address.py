"""HTTP addresses, from the caller or from a redirect, checked before use."""

from __future__ import annotations

import re
from ipaddress import ip_address

from yarl import URL

from asyncframes._model.quoting import a_kind, shortened
from asyncframes.errors import SourceAccessError, SourceAddressError
from asyncframes.sources._names import public_url

_QUOTED_URL = re.compile(r"(?:[!#$&-;=?@A-Z\[\]_a-z~]|%[0-9A-Fa-f]{2})+")
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_MOST_HOST_CHARACTERS = 253

# Bytes of a header that are not UTF-8, as aiohttp decodes them.
_RAW_BYTE = re.compile("[\udc80-\udcff]")


def parse_url(text: str) -> URL:
    """Parse a URL from the caller without changing its quoting.

    Raises
    ------
    SourceAddressError
        The URL is not an http or https URL, or its host or port is invalid.
    """
    if not isinstance(text, str):
        raise TypeError(f"the URL is {a_kind(text)}: expected a str")
    try:
        url = _read(text)
        reason = _fault(url)
    except ValueError:
        reason = "it is malformed"
    if reason:
        raise SourceAddressError(f"the URL is invalid: {reason}", source=public_url(text))
    return url


def redirected(url: URL, location: str, *, name: str) -> URL:
    """Return the target of a `Location` header, without fragment and user info.

    Raises
    ------
    SourceAccessError
        The target is not a valid http or https URL.
    """
    try:
        target = url.join(_read(_RAW_BYTE.sub(_quoted_byte, location))).with_fragment(None)
        reason = _fault(target)
        if not reason:
            return target.with_user(None) if target.user else target
    except ValueError:
        reason = "it is malformed"
    raise SourceAccessError(f"the server redirects to an invalid address: {reason}", source=name)


def _read(text: str) -> URL:
    """Parse a URL without requoting it: yarl changes ``%2F`` in a query, which breaks a signature."""
    text.encode()  # yarl omits lone surrogates, which gives another address
    try:
        return URL(text, encoded=_QUOTED_URL.fullmatch(text) is not None)
    except (IndexError, KeyError, OverflowError, RecursionError, TypeError) as exc:
        raise ValueError("yarl cannot parse it") from exc


def _quoted_byte(match: re.Match[str]) -> str:
    return f"%{ord(match[0]) - 0xDC00:02X}"


def _fault(url: URL) -> str | None:
    """Return what is wrong with a URL, ``None`` if it is valid.

    Raises
    ------
    ValueError
        The URL cannot be parsed.
    """
    if url.scheme not in {"http", "https"}:
        return f"its scheme is {shortened(url.scheme, longest=40) or 'missing'}, expected http or https"
    # `host` decodes the name on access. Some names cannot be decoded, and aiohttp would fail later.
    if not url.raw_host or not url.host or url.port is None:
        return "it has no host, or an invalid one"
    return _host_fault(url.raw_host)


def _host_fault(host: str) -> str | None:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        labels = host.removesuffix(".").split(".")
        if len(host) > _MOST_HOST_CHARACTERS or not all(map(_LABEL.fullmatch, labels)):
            return "its host name is invalid"
        # The system's resolver encodes the name with this codec, which refuses further names.
        host.encode("idna")
    return None
