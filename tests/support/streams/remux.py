"""Clips in other wrappings, and clips of encoders that only the ffmpeg program has."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeAlias

import av
from av.packet import Packet
from av.video.stream import VideoStream

from tests.support.streams.clips import paint

VideoPacket: TypeAlias = "Packet[VideoStream]"
Edit: TypeAlias = "Callable[[list[VideoPacket]], Iterable[VideoPacket]]"

WIDTH, HEIGHT = 96, 64


def remux(*clips: bytes, container: str, edit: Edit = list, **muxer_options: str) -> bytes:
    """Copy the packets of clips, one after the other, into one stream.

    Parameters
    ----------
    *clips
        Files of one container format and one codec; the first sets the stream up.
    container
        Format to write.
    edit
        Function that changes the packets of each clip, or leaves some out.
    **muxer_options
        Options of the muxer.
    """
    target = io.BytesIO()
    stream: VideoStream | None = None
    ticks = 0
    with av.open(target, "w", format=container, container_options=muxer_options) as writer:
        for clip in clips:
            with av.open(io.BytesIO(clip), "r") as reader:
                source = reader.streams.video[0]
                # opaque: no encoder of the codec is needed
                stream = stream or writer.add_stream_from_template(source, opaque=True)
                packets = list(edit([packet for packet in reader.demux(source) if packet.size]))
                length = _length(packets)
                for packet in moved(packets, ticks):
                    packet.stream = stream
                    writer.mux(packet)
                ticks += length
    return target.getvalue()


def _length(packets: list[VideoPacket]) -> int:
    times = sorted({packet.pts for packet in packets if packet.pts is not None})
    return times[-1] + (times[1] - times[0]) if len(times) > 1 else 0


def moved(packets: list[VideoPacket], ticks: int) -> list[VideoPacket]:
    """Shift packets in time."""
    for packet in packets:
        if packet.pts is not None:
            packet.pts += ticks
        if packet.dts is not None:
            packet.dts += ticks
    return packets


def from_second_keyframe(packets: list[VideoPacket]) -> list[VideoPacket]:
    """Leave out the first GOP, and with it what the leading pictures of the next one refer to."""
    second = [number for number, packet in enumerate(packets) if packet.is_keyframe][1]
    return packets[second:]


def encoded(ffmpeg: str, target: Path, *arguments: str, frames: int = 48) -> bytes:
    """Encode painted frames with the ffmpeg program, for encoders that PyAV does not have."""
    raw = b"".join(paint(index, WIDTH, HEIGHT).tobytes() for index in range(frames))
    command = [ffmpeg, "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{WIDTH}x{HEIGHT}"]
    command += ["-r", "25", "-i", "-", "-pix_fmt", "yuv420p", *arguments, str(target)]
    subprocess.run(command, input=raw, check=True)
    return target.read_bytes()


def copied(ffmpeg: str, clip: bytes, target: Path, *before: str) -> bytes:
    """Copy a clip with the ffmpeg program, its options `before` the input."""
    source = target.with_name("source")
    source.write_bytes(clip)
    subprocess.run(
        [ffmpeg, "-v", "error", "-y", *before, "-i", str(source), "-c", "copy", str(target)], check=True
    )
    return target.read_bytes()
