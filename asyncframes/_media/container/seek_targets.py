"""What to ask of a demuxer so that it lands at or before a packet."""

from __future__ import annotations

from collections.abc import Iterator

from av.container import InputContainer
from av.video.stream import VideoStream

from asyncframes._model.table import FrameTable

# Demuxers whose index often covers only what was read so far.
INDEXED_AS_READ = {"flv", "live_flv"}

# How many keyframes earlier each attempt to seek aims.
_EARLIER_KEYFRAMES = (0, 1, 3, 8)


def seek_targets(
    container: InputContainer, stream: VideoStream, packet: int, table: FrameTable
) -> Iterator[dict[str, int | bool]]:
    """Yield arguments of `seek` that may lead to a packet, the most promising first."""
    position = int(table.packets.position[packet])
    by_position = {"offset": position, "unsupported_byte_offset": True}
    timed = _is_indexed(container, stream, int(table.packets.dts[packet]))
    if position >= 0 and not timed:
        yield by_position
    earlier = [packet, *table.earlier_starts(packet)]
    for aim in (earlier[places] for places in _EARLIER_KEYFRAMES if places < len(earlier)):
        # Demuxers compare with either of the two. The later one lands nearer.
        yield {"offset": int(table.packets.pts[aim])}
        yield {"offset": int(table.packets.dts[aim])}
    if position >= 0 and timed:
        yield by_position


def _is_indexed(container: InputContainer, stream: VideoStream, ticks: int) -> bool:
    """Whether the demuxer can find a time without reading up to it."""
    entries = stream.index_entries
    if not len(entries):
        return False
    return container.format.name not in INDEXED_AS_READ or entries[-1].timestamp >= ticks
