"""Every exception that asyncframes raises by name.

::

    AsyncFramesError
    ├── SourceError                 the bytes could not be had
    │   ├── SourceAddressError      also ValueError
    │   ├── SourceNotFoundError     also FileNotFoundError
    │   ├── SourceNotReadyError     also RuntimeError
    │   ├── SourceAccessError       also PermissionError
    │   ├── SourceTimeoutError      also TimeoutError
    │   ├── SourceUnavailableError  also ConnectionError
    │   ├── RangeNotSupportedError
    │   ├── ShortReadError
    │   ├── SourceChangedError
    │   └── SourceLimitError
    ├── MediaError                  the bytes were had and are not usable video
    │   ├── NoVideoStreamError
    │   ├── UnsupportedMediaError
    │   └── CorruptMediaError
    ├── FrameIndexError             also IndexError
    ├── FrameWriteError             a frame was decoded and could not be stored
    │   └── FrameExistsError        also FileExistsError
    │       └── FrameMismatchError
    ├── ClosedError                 also RuntimeError
    ├── DeadlineError               also TimeoutError
    ├── ForkedError                 also RuntimeError
    └── MissingExtraError           also ImportError

Other wrong argument types and values are plain ``TypeError`` and ``ValueError``.
Context lives in keyword-only attributes that default to ``None``, so every
error can be pickled across a process boundary.
"""

from __future__ import annotations

from typing import Any

from asyncframes._model.quoting import shortened

__all__ = [
    "AsyncFramesError",
    "ClosedError",
    "CorruptMediaError",
    "DeadlineError",
    "ForkedError",
    "FrameExistsError",
    "FrameIndexError",
    "FrameMismatchError",
    "FrameWriteError",
    "MediaError",
    "MissingExtraError",
    "NoVideoStreamError",
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
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(context)
    return error


class AsyncFramesError(Exception):
    """Base of every error this library raises by name."""

    def __init__(self, message: str = "") -> None:
        # Names, paths and the words of other libraries go into messages, and some are as long as a video.
        super().__init__(shortened(str(message), longest=_LONGEST_MESSAGE))

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, dict(self.__dict__))


class SourceError(AsyncFramesError):
    """The bytes could not be had.

    Attributes
    ----------
    source
        Name of the source, credentials removed.
    """

    def __init__(self, message: str = "", *, source: str | None = None) -> None:
        super().__init__(f"{message} [{shortened(str(source))}]" if source else message)
        self.source = source


class SourceAddressError(SourceError, ValueError):
    """The address cannot be opened by this source, or by any: another scheme, an impossible host or port."""


class SourceNotFoundError(SourceError, FileNotFoundError):
    """Nothing lies at this address."""


class SourceNotReadyError(SourceError, RuntimeError):
    """The server knows it and has no bytes of it yet; asking again later may help."""


class SourceAccessError(SourceError, PermissionError):
    """The address exists and may not be read: refused credentials, a directory."""


class SourceTimeoutError(SourceError, TimeoutError):
    """No bytes came within the time allowed."""


class SourceUnavailableError(SourceError, ConnectionError):
    """The network or the server failed, also after the retries.

    Attributes
    ----------
    retry_after_seconds
        When the server said to come back, ``None`` where it did not.
    """

    def __init__(
        self, message: str = "", *, source: str | None = None, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(message, source=source)
        self.retry_after_seconds = retry_after_seconds


class RangeNotSupportedError(SourceError):
    """The server answered a range request with something other than that range."""


class ShortReadError(SourceError):
    """Fewer bytes came than were asked for.

    Attributes
    ----------
    start, stop
        Half-open byte range that was asked for.
    received
        How many bytes came.
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
    """Validator or size differ from when the source was opened, or its frame table made."""


class SourceLimitError(SourceError):
    """A bound that protects the caller was reached (bytes read, spool size)."""


class MediaError(AsyncFramesError):
    """The bytes were had and are not usable video.

    Attributes
    ----------
    source
        Name of the source, credentials removed.
    """

    def __init__(self, message: str = "", *, source: str | None = None) -> None:
        super().__init__(f"{message} [{shortened(str(source))}]" if source else message)
        self.source = source


class NoVideoStreamError(MediaError):
    """The container holds no video stream (audio or subtitles only, or cover art)."""


class UnsupportedMediaError(MediaError):
    """No allowed demuxer or no decoder knows these bytes."""


class CorruptMediaError(MediaError):
    """The bytes claim to be video and do not decode.

    Attributes
    ----------
    index
        Index of the first frame hit, ``None`` when unknown.
    pts
        Its presentation time in ticks, ``None`` when unknown.
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


class FrameIndexError(AsyncFramesError, IndexError):
    """A frame index lies outside the video.

    Attributes
    ----------
    index
        The index asked for.
    length
        How many frames there are, ``None`` when unknown.
    """

    def __init__(self, message: str = "", *, index: int | None = None, length: int | None = None) -> None:
        super().__init__(message)
        self.index = index
        self.length = length


class FrameWriteError(AsyncFramesError):
    """A frame was decoded and could not be stored.

    Attributes
    ----------
    index
        Index of the frame.
    path
        Where it should have gone, ``None`` when the writer has no paths.
    """

    def __init__(self, message: str = "", *, index: int | None = None, path: str | None = None) -> None:
        super().__init__(message)
        self.index = index
        self.path = path


class FrameExistsError(FrameWriteError, FileExistsError):
    """The file of a frame is already there and ``overwrite="error"`` was asked."""


class FrameMismatchError(FrameExistsError):
    """``overwrite="skip"`` met a file that is not known to be that frame: another video's, say."""


class ClosedError(AsyncFramesError, RuntimeError):
    """A source, video or writer was used after it was closed."""


class DeadlineError(AsyncFramesError, TimeoutError):
    """A request was not done in the time it was given.

    Attributes
    ----------
    seconds
        How long that was.
    """

    def __init__(self, message: str, *, seconds: float | None = None) -> None:
        super().__init__(message)
        self.seconds = seconds


class ForkedError(AsyncFramesError, RuntimeError):
    """A video, source or iterator that the parent opened was used in a forked child."""


class MissingExtraError(AsyncFramesError, ImportError):
    """An optional package is needed.

    Attributes
    ----------
    extra
        Name of the extra that brings it.
    """

    def __init__(self, message: str = "", *, extra: str | None = None) -> None:
        super().__init__(message)
        self.extra = extra
