"""Status and headers of HTTP replies."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from asyncframes._model.ranges import ContentRange, parse_content_range
from asyncframes.errors import (
    RangeNotSupportedError,
    SourceAccessError,
    SourceChangedError,
    SourceError,
    SourceNotFoundError,
    SourceUnavailableError,
)

_ETAG = re.compile(r'"[\x21\x23-\x7e]{0,256}"')
_NUMBER = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Version:
    """Headers that identify a version of a file: all replies must agree on them."""

    etag: str | None
    last_modified: str | None

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Version:
        """Read the version from the headers of a reply."""
        return cls(headers.get("ETag"), headers.get("Last-Modified"))

    def differs_from(self, other: Version) -> bool:
        """Return whether the versions disagree; a missing header agrees with any."""
        if self.etag and other.etag:
            return self.etag != other.etag
        return bool(self.last_modified and other.last_modified and self.last_modified != other.last_modified)

    @property
    def text(self) -> str | None:
        """The ETag if there is one, otherwise the date; ``None`` if there is neither."""
        return self.etag or self.last_modified

    def conditions(self) -> dict[str, str]:
        """Return headers that make the server check the version too.

        A range request may not carry a weak ETag. A malformed one is not sent either: it may
        not be a valid header value.
        """
        return {"If-Match": self.etag} if self.etag and _ETAG.fullmatch(self.etag) else {}


def content_range(headers: Mapping[str, str], *, name: str) -> ContentRange:
    """Read the position of the body in the file.

    Raises
    ------
    RangeNotSupportedError
        `Content-Range` is missing or malformed.
    """
    try:
        return parse_content_range(headers.get("Content-Range", ""))
    except ValueError as exc:
        raise RangeNotSupportedError(
            "the server answered a range request without a valid Content-Range", source=name
        ) from exc


def check_place(content: ContentRange, start: int, stop: int, *, name: str) -> int:
    """Return where the body ends: a server may send only the first part of a range.

    Raises
    ------
    RangeNotSupportedError
        The body is not the start of the requested range.
    """
    if content.start != start or content.stop is None or content.stop > stop:
        raise RangeNotSupportedError(
            f"bytes {start}-{stop} were requested, but the server sent "
            f"{content.start}-{content.stop} of {content.size}",
            source=name,
        )
    return content.stop


def check_whole(headers: Mapping[str, str], *, name: str) -> None:
    """Raise if a reply with status 200 contains only a part; ``rclone serve s3`` sends such replies.

    Raises
    ------
    RangeNotSupportedError
        `Content-Range` covers less than the whole file.
    """
    if "Content-Range" not in headers:
        return
    content = content_range(headers, name=name)
    if (content.start, content.stop) != (0, content.size):
        raise RangeNotSupportedError("the server sent only a part of the file with status 200", source=name)


def changed(name: str) -> SourceChangedError:
    """Return the error for a reply from another version of the file."""
    return SourceChangedError("the file has changed since it was opened", source=name)


def status_error(status: int, headers: Mapping[str, str], *, name: str) -> SourceError:
    """Translate a status without bytes."""
    match status:
        case 404 | 410:
            return SourceNotFoundError(f"the server answered {status}: there is no such file", source=name)
        case 401 | 403 | 407:
            return SourceAccessError(
                f"the server answered {status}: the credentials are missing, wrong or expired", source=name
            )
        case 412:
            return changed(name)
        case 408 | 425 | 429:
            busy = True
        case _:
            busy = status >= 500
    if busy:
        seconds = parse_retry_after(headers.get("Retry-After"))
        wish = "" if seconds is None else f" and asks for a retry in {seconds:.0f} s"
        return SourceUnavailableError(
            f"the server answered {status}{wish}", source=name, retry_after_seconds=seconds
        )
    if status >= 400:
        return SourceAccessError(f"the server refused the request with {status}", source=name)
    return RangeNotSupportedError(f"the server answered {status} to a range request", source=name)


def content_length(headers: Mapping[str, str]) -> int | None:
    """Read the length of the body; ``None`` if the header is missing or is not a number of bytes."""
    text = headers.get("Content-Length", "").strip()
    return int(text) if _NUMBER.fullmatch(text) else None


def parse_retry_after(value: str | None) -> float | None:
    """Read a `Retry-After` header, seconds or a date; ``None`` if it is neither."""
    if value is None:
        return None
    if _NUMBER.fullmatch(value.strip()):
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
        # The standard requires UTC, so a date without a zone is read as UTC. Some years cannot be converted.
        aware = moment.replace(tzinfo=moment.tzinfo or UTC)
        return max(0.0, (aware - datetime.now(UTC)).total_seconds())
    except Exception:  # noqa: BLE001 - the parser raises anything on malformed dates
        return None
