"""What a video's process tells the process that decodes it, once for each video."""

from __future__ import annotations

from dataclasses import dataclass

from asyncframes._media.container.opening import ContainerOptions
from asyncframes._requests.video_requests import VideoOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """How to open a video, as a value that is pickled.

    Attributes
    ----------
    name, size, validator
        Of the source.
    arrives_once
        Whether the source is sequential.
    can_store
        Whether it can store its bytes.
    container, options
        As for decoding in threads. The process of the video keeps the table cache and the deadlines.
    cache_bytes, read_ahead_bytes, read_timeout_seconds, cpu_seconds
        As for `open_video` and `Policy`.
    memory_bytes
        Size of the shared memory.
    stores_tables
        Whether the process of the video stores frame tables.
    tells_packets
        Whether it is to be told of each packet.
    """

    name: str
    size: int | None
    validator: str | None
    arrives_once: bool
    can_store: bool
    container: ContainerOptions
    options: VideoOptions
    cache_bytes: int
    read_ahead_bytes: int
    read_timeout_seconds: float
    cpu_seconds: float | None
    memory_bytes: int
    stores_tables: bool
    tells_packets: bool
