"""What the head of an HTTP reply says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from asyncframes._ranges import ContentRange, parse_content_range
from asyncframes.errors import (
    RangeNotSupportedError,
    ShortReadError,
    SourceAccessError,
    SourceChangedError,
    SourceError,
    SourceNotFoundError,
    SourceTimeoutError,
    SourceUnavailableError,
)

_MAX_RETRY_AFTER_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Version:
    """What must stay the same between replies."""

    etag: str | None
    last_modified: str | None

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Version:
        """Read both from the headers of a reply."""
        return cls(headers.get("ETag"), headers.get("Last-Modified"))

    def differs_from(self, other: Version) -> bool:
        """Whether both say something and it is not the same."""
        if self.etag and other.etag:
            return self.etag != other.etag
        return bool(self.last_modified and other.last_modified and self.last_modified != other.last_modified)

    @property
    def text(self) -> str | None:
        """The stronger of the two."""
        return self.etag or self.last_modified

    def conditions(self) -> dict[str, str]:
        """Headers that make the server check too; weak validators may not be sent for a range."""
        return {"If-Match": self.etag} if self.etag and self.etag.startswith('"') else {}


def content_range(headers: Mapping[str, str], *, name: str) -> ContentRange:
    """Read the place of the body in the file.

    Raises
    ------
    RangeNotSupportedError
        It is missing or malformed.
    """
    try:
        return parse_content_range(headers.get("Content-Range", ""))
    except ValueError as exc:
        raise RangeNotSupportedError(
            "the server answered a range request without a usable Content-Range", source=name
        ) from exc


def check_place(content: ContentRange, start: int, stop: int, *, name: str) -> int:
    """Find where the body ends; a server may send only the first part of a range.

    Raises
    ------
    RangeNotSupportedError
        The body is not the beginning of the range asked for.
    """
    if content.start != start or content.stop is None or content.stop > stop:
        raise RangeNotSupportedError(
            f"bytes {start}-{stop} were asked for and the server answered with "
            f"{content.start}-{content.stop} of {content.size}",
            source=name,
        )
    return content.stop


def check_whole(headers: Mapping[str, str], *, name: str) -> None:
    """Refuse a 200 that says it brings a part; ``rclone serve s3`` answers so.

    Raises
    ------
    RangeNotSupportedError
        `Content-Range` names less than everything.
    """
    if "Content-Range" not in headers:
        return
    content = content_range(headers, name=name)
    if (content.start, content.stop) != (0, content.size):
        raise RangeNotSupportedError(
            "the server sent a part of the file under the status of the whole", source=name
        )


def changed(name: str) -> SourceChangedError:
    """Say that a reply comes from another file than the first one."""
    return SourceChangedError("another file lies there than when it was opened", source=name)


def retry_wait(exc: Exception) -> bool | float:
    """Decide for stamina whether to try again; seconds where the server named a time."""
    if isinstance(exc, SourceUnavailableError) and exc.retry_after_seconds is not None:
        return min(exc.retry_after_seconds, _MAX_RETRY_AFTER_SECONDS)
    return isinstance(exc, (SourceUnavailableError, SourceTimeoutError, ShortReadError))


def status_error(status: int, headers: Mapping[str, str], *, name: str) -> SourceError:
    """Translate a status that brings no bytes."""
    match status:
        case 404 | 410:
            return SourceNotFoundError(f"the server answered {status}: nothing is there", source=name)
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
        return SourceUnavailableError(
            f"the server answered {status}",
            source=name,
            retry_after_seconds=parse_retry_after(headers.get("Retry-After")),
        )
    if status >= 400:
        return SourceAccessError(f"the server refused the request with {status}", source=name)
    return RangeNotSupportedError(f"the server answered {status} to a range request", source=name)


def parse_retry_after(value: str | None) -> float | None:
    """Read a `Retry-After` header: seconds or a date; ``None`` where it is neither."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (moment.astimezone(UTC) - datetime.now(UTC)).total_seconds())
