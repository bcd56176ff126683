"""What the application may cost, as values."""

from __future__ import annotations

from dataclasses import dataclass

from asyncframes._runtime.threads import cpus
from asyncframes.sources._limits import check_counts, check_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class WebLimits:
    """What an application that serves frames may cost. What a video may cost, a `Policy` says.

    Attributes
    ----------
    allow_original
        Whether ``/v/{id}/original`` serves the bytes of the source. Off by default.
    max_open_videos
        Most videos that stay open while no request uses them. The least recently used is closed
        first. With ``isolation="process"``, they are at most as many as ``max_workers`` allows.
    idle_seconds
        How long a video stays open that no request uses.
    fresh_seconds
        How long a video is served, and its frames are cached elsewhere, before its source is asked
        whether it has changed. ``Cache-Control: max-age`` says the same.
    max_kept_bytes
        Most bytes of images that are made ahead for clients that step from frame to frame.
    max_requests
        Most requests that open, decode or encode at once. By default twice as many as there are
        CPUs, but at least 4.
    max_queued
        Most requests that wait for their turn. Further ones are refused with 503 and
        ``Retry-After``.
    max_requests_per_client
        Most requests of one client address at once. Further ones are refused with 429 and
        ``Retry-After``. No limit by default, since all clients behind a proxy have its address.
    max_streams
        Most ``mjpeg``, ``original`` and multipart answers at once, which last as long as the client
        reads.
    request_seconds
        Most seconds until the head of an answer, the wait for a turn included. Then, the answer is 504.
    max_chunk_frames, max_chunk_bytes
        Most frames and bytes of a chunk, which is made in memory.
    max_tiles
        Most tiles of a sprite sheet or contact sheet.

    Raises
    ------
    ValueError
        A limit is out of range.
    """

    allow_original: bool = False
    max_open_videos: int = 32
    idle_seconds: float = 60.0
    fresh_seconds: float = 10.0
    max_kept_bytes: int = 256 * 1024 * 1024
    max_requests: int | None = None
    max_queued: int = 256
    max_requests_per_client: int | None = None
    max_streams: int = 32
    request_seconds: float = 60.0
    max_chunk_frames: int = 256
    max_chunk_bytes: int = 64 * 1024 * 1024
    max_tiles: int = 1000

    def __post_init__(self) -> None:
        check_counts(least=0, max_queued=self.max_queued, max_kept_bytes=self.max_kept_bytes)
        check_counts(
            least=1,
            max_open_videos=self.max_open_videos,
            max_requests=self.at_once,
            max_requests_per_client=self.max_requests_per_client or 1,
            max_streams=self.max_streams,
            max_chunk_frames=self.max_chunk_frames,
            max_chunk_bytes=self.max_chunk_bytes,
            max_tiles=self.max_tiles,
        )
        check_seconds(
            idle_seconds=self.idle_seconds,
            fresh_seconds=self.fresh_seconds,
            request_seconds=self.request_seconds,
        )

    @property
    def at_once(self) -> int:
        """Most requests that work at once."""
        return max(4, 2 * cpus()) if self.max_requests is None else self.max_requests
