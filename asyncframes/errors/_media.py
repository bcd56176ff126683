"""The bytes are not usable video."""

from __future__ import annotations

from asyncframes.errors._base import AsyncFramesError, with_source


class MediaError(AsyncFramesError):
    """The bytes are not usable video.

    Attributes
    ----------
    source
        Name of the source, without credentials.
    """

    def __init__(self, message: str = "", *, source: str | None = None) -> None:
        super().__init__(with_source(message, source))
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
