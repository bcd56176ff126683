"""An open video, and what its answers are known by."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from importlib.metadata import version
from itertools import count

from asyncframes._version import __version__
from asyncframes._video import Video
from asyncframes.abc import StreamSource
from asyncframes.sources import FFmpegUrlSource

# What decodes, converts and encodes: another release may give other bytes.
_RELEASES = (__version__, *(version(name) for name in ("av", "numpy", "pillow", "simplejpeg")))


@dataclass(frozen=True, slots=True)
class Opened:
    """An open video and its source.

    Attributes
    ----------
    video_id
        Its name in URLs.
    source
        Where its bytes come from; the video closes it.
    video
        The open video.
    version
        Changes with the bytes; ``None`` if the source has no validator. Clients see it.
    serial
        No other open video of the process has it.
    """

    video_id: str
    source: StreamSource | FFmpegUrlSource
    video: Video
    version: str | None
    serial: int = field(default_factory=count().__next__)

    def tag(self, *parts: object) -> str | None:
        """Return the strong ETag of what follows from the video's bytes and from parameters."""
        return None if self.version is None else tag_of(self.version, *parts)


def version_of(source: StreamSource | FFmpegUrlSource) -> str | None:
    """Return text that changes with the bytes of an open source; ``None`` without a validator."""
    if isinstance(source, FFmpegUrlSource) or source.validator is None:
        return None
    return _digest(source.validator, source.size)


def tag_of(*parts: object) -> str:
    """Return a strong ETag that depends on `parts`, and on what encodes."""
    return f'"{_digest(*parts, *_RELEASES)}"'


def _digest(*parts: object) -> str:
    return blake2b(repr(parts).encode(), digest_size=12).hexdigest()
