"""What a container says beside its video: tags, the creation time, and other streams."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import cast, get_args

from av.container import InputContainer
from av.stream import Disposition, Stream

from asyncframes._media.pyav import codec_name, fraction_of
from asyncframes._model.quoting import shortened
from asyncframes._types import StreamInfo, StreamKind, Tags
from asyncframes.sources._names import public_url

MOST_TAGS = 64
LONGEST_NAME = 100
LONGEST_TEXT = 1000

# A text of some megabytes, such as XMP, would take seconds to clean.
_MOST_CLEANED = 8 * LONGEST_TEXT

_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]{0,30}://"
# A URL in the path of another one may have secrets of its own.
_URL = re.compile(rf"{_SCHEME}(?:(?!{_SCHEME})\S)*")
_CUT_URL = re.compile(r"://\S*\Z")
_CREATION_TAGS = ("creation_time", "com.apple.quicktime.creationdate")


def tags_of(metadata: Mapping[str, str]) -> Tags:
    """Return the first `MOST_TAGS` tags: bounded text, and URLs without their secrets."""
    first = list(metadata.items())[:MOST_TAGS]
    cleaned = ((_clean(name), _clean(text)) for name, text in first)
    return Tags({shortened(name, longest=LONGEST_NAME): _bounded(text) for name, text in cleaned})


def creation_time_of(metadata: Mapping[str, str]) -> datetime | None:
    """Return when the file was made, by the first tag that holds a date and a time."""
    named = {name.lower(): text for name, text in metadata.items()}
    return next(filter(None, map(_time_of, (named.get(name, "") for name in _CREATION_TAGS))), None)


def other_streams_of(container: InputContainer) -> Iterator[StreamInfo]:
    """Describe the streams that are not video, in the container's order."""
    return (_describe(stream) for stream in container.streams if stream.type != "video")


def _describe(stream: Stream) -> StreamInfo:
    codec = stream.codec_context
    named = {name.lower(): text for name, text in stream.metadata.items()}
    tags = tags_of({name: named[name] for name in ("language", "title") if named.get(name)})
    language = tags.get("language")
    time_base = fraction_of(stream.time_base)
    return StreamInfo(
        index=stream.index,
        kind=cast("StreamKind", stream.type) if stream.type in get_args(StreamKind) else "unknown",
        codec=codec_name(codec),
        language=None if language == "und" else language,
        title=tags.get("title"),
        duration_seconds_from_header=float(stream.duration * time_base)
        if stream.duration and time_base
        else None,
        is_default=bool(stream.disposition & Disposition.default),
        sample_rate=getattr(codec, "sample_rate", None) or None,
        channels=getattr(codec, "channels", None) or None,
    )


def _time_of(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    # FFmpeg writes UTC.
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _clean(text: str) -> str:
    """Return text that any encoding can hold, and its URLs without user info, query and fragment."""
    if len(text) > _MOST_CLEANED:
        # A URL that is cut could end in its password, which would then count as a port.
        text = _CUT_URL.sub("://…", text[:_MOST_CLEANED])
    readable = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return _URL.sub(lambda found: public_url(found[0]), readable)


def _bounded(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"
