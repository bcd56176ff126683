"""The exceptions that asyncframes defines.

::

    AsyncFramesError
    ├── SourceError                 the bytes could not be read
    │   ├── SourceAddressError      also ValueError
    │   ├── SourceNotFoundError     also FileNotFoundError
    │   ├── SourceNotReadyError     also RuntimeError
    │   ├── SourceAccessError       also PermissionError
    │   ├── SourceTimeoutError      also TimeoutError
    │   ├── SourceUnavailableError  also ConnectionError
    │   ├── RangeNotSupportedError
    │   ├── ShortReadError
    │   └── SourceChangedError
    ├── MediaError                  the bytes are not usable video
    │   ├── NoVideoStreamError
    │   ├── UnsupportedMediaError
    │   └── CorruptMediaError
    ├── PolicyError                 a limit of a policy or of an option
    │   ├── PolicyAccessError       also SourceAccessError
    │   └── PolicyLimitError        also ValueError
    │       ├── SourceLimitError    also SourceError
    │       ├── MediaLimitError     also UnsupportedMediaError
    │       └── DeadlineError       also TimeoutError
    ├── FrameIndexError             also IndexError
    ├── CropError                   also ValueError
    ├── FrameEncodeError            also ValueError
    ├── FrameWriteError             a frame was decoded but could not be stored
    │   └── FrameExistsError        also FileExistsError
    │       └── FrameMismatchError
    ├── ClosedError                 also RuntimeError
    ├── ForkedError                 also RuntimeError
    ├── NotPicklableError           also TypeError
    └── MissingExtraError           also ImportError

Other wrong arguments raise a plain ``TypeError`` or ``ValueError``. Further facts about an
error are in its attributes, ``None`` if unknown. Every error can be pickled.
"""

from __future__ import annotations

from typing import Any

from asyncframes._model.quoting import shortened

__all__ = [
    "AsyncFramesError",
    "ClosedError",
    "CorruptMediaError",
    "CropError",
    "DeadlineError",
    "ForkedError",
    "FrameEncodeError",
    "FrameExistsError",
    "FrameIndexError",
    "FrameMismatchError",
    "FrameWriteError",
    "MediaError",
    "MediaLimitError",
    "MissingExtraError",
    "NoVideoStreamError",
    "NotPicklableError",
    "PolicyAccessError",
    "PolicyError",
    "PolicyLimitError",
    "RangeNotSupportedError",
    "ShortReadError",
    "SourceAccessError",
    "SourceAddressError",
    "SourceChangedError",
    "SourceError",
    "SourceLimitError",
    "SourceNotFoundError",
    "SourceNotReadyError",
    "SourceTimeoutError",
    "SourceUnavailableError",
    "UnsupportedMediaError",
]

_LONGEST_MESSAGE = 800


def _rebuild(cls: type[AsyncFramesError], args: tuple[Any, ...], context: dict[str, Any]) -> AsyncFramesError:
    # Of two builtin bases, Python lets only the one with attributes of its own make the object.
    error: AsyncFramesError = (OSError if issubclass(cls, OSError) else cls).__new__(cls, *args)
    error.args = args
    error.__dict__.update(context)
    return error


class AsyncFramesError(Exception):
    """Base class of the errors that asyncframes defines."""

    def __init__(self, message: str = "") -> None:
        # Messages quote names, paths and texts of other libraries, which may be arbitrarily long.
        super().__init__(shortened(str(message), longest=_LONGEST_MESSAGE))

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, dict(self.__dict__))


class SourceError(AsyncFramesError):
    """The bytes could not be read.

    Attributes
    ----------
    source
        Name of the source, without credentials.
    """

    def __init__(self, message: str = "", *, source: str | None = None) -> None:
        super().__init__(f"{message} [{shortened(str(source))}]" if source else message)
        self.source = source


class SourceAddressError(SourceError, ValueError):
    """The address cannot be opened by any source, or not by this one: wrong scheme, invalid host or port."""


class SourceNotFoundError(SourceError, FileNotFoundError):
    """There is nothing at this address."""


class SourceNotReadyError(SourceError, RuntimeError):
    """The server knows the source but has no bytes of it yet. Try again later."""


class SourceAccessError(SourceError, PermissionError):
    """The address exists but cannot be read: credentials were refused, or it is a directory."""


class SourceTimeoutError(SourceError, TimeoutError):
    """No bytes arrived in time."""


class SourceUnavailableError(SourceError, ConnectionError):
    """The network or the server failed, even after retries.

    Attributes
    ----------
    retry_after_seconds
        After how many seconds to retry, according to the server; ``None`` if it did not say.
    """

    def __init__(
        self, message: str = "", *, source: str | None = None, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(message, source=source)
        self.retry_after_seconds = retry_after_seconds


class RangeNotSupportedError(SourceError):
    """The server answered a range request with something other than that range."""


class ShortReadError(SourceError):
    """Fewer bytes arrived than were requested.

    Attributes
    ----------
    start, stop
        The requested byte range, half-open.
    received
        How many bytes arrived.
    """

    def __init__(
        self,
        message: str = "",
        *,
        source: str | None = None,
        start: int | None = None,
        stop: int | None = None,
        received: int | None = None,
    ) -> None:
        super().__init__(message, source=source)
        self.start = start
        self.stop = stop
        self.received = received


class SourceChangedError(SourceError):
    """The validator or size has changed since the source was opened or its frame table was built."""


class MediaError(AsyncFramesError):
    """The bytes are not usable video.

    Attributes
    ----------
    source
        Name of the source, without credentials.
    """

    def __init__(self, message: str = "", *, source: str | None = None) -> None:
        super().__init__(f"{message} [{shortened(str(source))}]" if source else message)
        self.source = source


class NoVideoStreamError(MediaError):
    """The container has no video stream: only audio, subtitles or cover art."""


class UnsupportedMediaError(MediaError):
    """No allowed demuxer and decoder support these bytes, or they cannot be converted as requested."""


class CorruptMediaError(MediaError):
    """The bytes claim to be video but do not decode.

    Attributes
    ----------
    index
        Index of the first damaged frame, ``None`` if unknown.
    pts
        Its presentation time in ticks, ``None`` if unknown.
    """

    def __init__(
        self,
        message: str = "",
        *,
        source: str | None = None,
        index: int | None = None,
        pts: int | None = None,
    ) -> None:
        super().__init__(message, source=source)
        self.index = index
        self.pts = pts


class PolicyError(AsyncFramesError):
    """A limit was reached: always a `PolicyAccessError` or a `PolicyLimitError`.

    Attributes
    ----------
    source
        Name of the source, without credentials; ``None`` if unknown.
    limit
        Name of the field of `Policy` or of the option; ``None`` for a fixed limit.
    allowed, found
        What it allows, and what was found, if known: a claim, or what was reached so far.
    """

    def __init__(
        self,
        message: str = "",
        *,
        source: str | None = None,
        limit: str | None = None,
        allowed: object = None,
        found: object = None,
    ) -> None:
        super().__init__(f"{message} [{shortened(str(source))}]" if source else message)
        self.source = source
        self.limit = limit
        self.allowed = allowed
        self.found = found


class PolicyAccessError(PolicyError, SourceAccessError):
    """The source, or an address that it leads to, is not among those allowed."""


class PolicyLimitError(PolicyError, ValueError):
    """A source, a video or a request exceeds a limit."""


class SourceLimitError(PolicyLimitError, SourceError):
    """A limit on what may be fetched or stored was reached, such as ``max_read_bytes``."""


class MediaLimitError(PolicyLimitError, UnsupportedMediaError):
    """The video is one that a limit refuses, such as ``max_pixels`` or ``codecs``."""


class DeadlineError(PolicyLimitError, TimeoutError):
    """A request did not finish before its deadline.

    Attributes
    ----------
    seconds
        The seconds that were allowed.
    """

    def __init__(self, message: str, *, seconds: float | None = None) -> None:
        super().__init__(message, limit="deadline_seconds", allowed=seconds)
        self.seconds = seconds


class FrameIndexError(AsyncFramesError, IndexError):
    """A frame index is outside the video.

    Attributes
    ----------
    index
        The requested index.
    length
        Number of frames in the video, ``None`` if unknown.
    """

    def __init__(self, message: str = "", *, index: int | None = None, length: int | None = None) -> None:
        super().__init__(message)
        self.index = index
        self.length = length


class CropError(AsyncFramesError, ValueError):
    """A crop reaches outside the image.

    Attributes
    ----------
    crop
        The requested ``(x, y, width, height)``.
    width, height
        Size of the upright image that it was to be taken from.
    """

    def __init__(
        self,
        message: str = "",
        *,
        crop: tuple[int, int, int, int] | None = None,
        width: int | None = None,
        height: int | None = None,
    ) -> None:
        super().__init__(message)
        self.crop = crop
        self.width = width
        self.height = height


class FrameEncodeError(AsyncFramesError, ValueError):
    """A frame's image cannot be encoded: the format cannot store it, or lacks an option.

    Attributes
    ----------
    index
        Index of the frame; ``None`` for a contact sheet.
    """

    def __init__(self, message: str = "", *, index: int | None = None) -> None:
        super().__init__(message)
        self.index = index


class FrameWriteError(AsyncFramesError):
    """A frame was decoded but could not be stored.

    Attributes
    ----------
    index
        Index of the frame.
    path
        Where the frame was to be stored; ``None`` if the writer has no paths.
    """

    def __init__(self, message: str = "", *, index: int | None = None, path: str | None = None) -> None:
        super().__init__(message)
        self.index = index
        self.path = path


class FrameExistsError(FrameWriteError, FileExistsError):
    """The file for a frame already exists, and ``overwrite="error"``."""


class FrameMismatchError(FrameExistsError):
    """``overwrite="skip"`` found a file that may not be that frame: it may be from another video."""


class ClosedError(AsyncFramesError, RuntimeError):
    """A source, video or writer was used after it was closed."""


class ForkedError(AsyncFramesError, RuntimeError):
    """A forked child used a video, source or iterator that its parent opened."""


class NotPicklableError(AsyncFramesError, TypeError):
    """An object that belongs to one process was pickled: an open video, an open source, a stream."""


class MissingExtraError(AsyncFramesError, ImportError):
    """An optional package is missing.

    Attributes
    ----------
    extra
        Name of the extra that installs it.
    """

    def __init__(self, message: str = "", *, extra: str | None = None) -> None:
        super().__init__(message)
        self.extra = extra

    def __reduce__(self) -> tuple[Any, ...]:
        # `ImportError` stores these outside of `__dict__`.
        return *super().__reduce__(), {"msg": self.msg, "name": self.name, "path": self.path}
