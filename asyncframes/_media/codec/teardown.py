"""Waiting for a codec's threads before the codec is freed."""

from __future__ import annotations

from av.video.stream import VideoStream


def rest(stream: VideoStream) -> None:
    """Wait until all threads of a codec are idle. Only then may the codec be freed.

    PyAV holds the GIL while it frees a codec, and FFmpeg then waits for each frame thread
    that still decodes. If such a thread waits for the GIL in PyAV's log callback
    (`av.logging.set_level`), the two deadlock. `flush_buffers` releases the GIL while it
    waits for the threads, and they then sleep until the next packet.
    """
    if stream.codec_context is not None:
        stream.codec_context.flush_buffers()


def release(fields: dict[str, object], *names: str) -> None:
    """Drop a decoder's stream and the named fields that refer to it. The last reference frees the codec."""
    stream = fields.pop("stream", None)
    if isinstance(stream, VideoStream):
        rest(stream)
    for name in names:
        fields.pop(name, None)
