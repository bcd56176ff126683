"""The bytes could not be read."""

from __future__ import annotations

from asyncframes.errors._base import AsyncFramesError, with_source


class SourceError(AsyncFramesError):
    """The bytes could not be read.

    Attributes
    ----------
    source
        Name of the source, without credentials.
    """

    def __init__(self, message: str = "", *, source: str | None = None) -> None:
        super().__init__(with_source(message, source))
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
