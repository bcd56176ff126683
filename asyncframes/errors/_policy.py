"""A limit of a policy or of an option was reached."""

from __future__ import annotations

from asyncframes.errors._base import AsyncFramesError, with_source
from asyncframes.errors._media import UnsupportedMediaError
from asyncframes.errors._source import SourceAccessError, SourceError


class PolicyError(AsyncFramesError):
    """A policy stops a video: a `PolicyAccessError`, a `PolicyLimitError` or an `IsolationError`.

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
        super().__init__(with_source(message, source))
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
