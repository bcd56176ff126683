"""What the head of an HTTP reply says."""

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
        """Headers that make the server check too; weak validators may not be sent for a range.

        Nor is one sent that the standard does not allow: it might not be a header's value.
        """
        return {"If-Match": self.etag} if self.etag and _ETAG.fullmatch(self.etag) else {}


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
    return SourceChangedError("the address serves another file than when it was opened", source=name)


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
        seconds = parse_retry_after(headers.get("Retry-After"))
        wish = "" if seconds is None else f" and asks to come back in {seconds:.0f} s"
        return SourceUnavailableError(
            f"the server answered {status}{wish}", source=name, retry_after_seconds=seconds
        )
    if status >= 400:
        return SourceAccessError(f"the server refused the request with {status}", source=name)
    return RangeNotSupportedError(f"the server answered {status} to a range request", source=name)


def content_length(headers: Mapping[str, str]) -> int | None:
    """Read how long the body is to be; ``None`` where the header is missing or no number of bytes."""
    text = headers.get("Content-Length", "").strip()
    return int(text) if _NUMBER.fullmatch(text) else None


def parse_retry_after(value: str | None) -> float | None:
    """Read a `Retry-After` header: seconds or a date; ``None`` where it is neither."""
    if value is None:
        return None
    if _NUMBER.fullmatch(value.strip()):
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
        # A date without a zone is taken for UTC, which it has to be; some years fit no conversion.
        aware = moment.replace(tzinfo=moment.tzinfo or UTC)
        return max(0.0, (aware - datetime.now(UTC)).total_seconds())
    except Exception:  # noqa: BLE001 - whatever the parser makes of it, the header says nothing
        return None
