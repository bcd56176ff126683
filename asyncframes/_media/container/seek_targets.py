"""What to ask of a demuxer so that it lands at or before a packet."""

from __future__ import annotations

from collections.abc import Iterator

from av.container import InputContainer
from av.video.stream import VideoStream

from asyncframes._model.table import FrameTable

# Demuxers whose index often covers only what was read so far.
INDEXED_AS_READ = {"flv", "live_flv"}

# A position in WTV counts the bytes of a file inside the file, whose sectors are scattered. FFmpeg would seek
# to that byte of the outer file, and packets that continue in another sector would have other bytes.
_WITHOUT_POSITIONS = {"wtv"}

# How many keyframes earlier each attempt to seek aims.
_EARLIER_KEYFRAMES = (0, 1, 3, 8)


def seek_targets(
    container: InputContainer, stream: VideoStream, packet: int, table: FrameTable
) -> Iterator[dict[str, int | bool]]:
    """Yield arguments of `seek` that may lead to a packet, the most promising first."""
    has_position = container.format.name not in _WITHOUT_POSITIONS and table.packets.position[packet] >= 0
    by_position = {"offset": int(table.packets.position[packet]), "unsupported_byte_offset": True}
    timed = _is_indexed(container, stream, int(table.packets.dts[packet]))
    if has_position and not timed:
        yield by_position
    earlier = [packet, *table.earlier_starts(packet)]
    for aim in (earlier[places] for places in _EARLIER_KEYFRAMES if places < len(earlier)):
        # Demuxers compare with either of the two. The later one lands nearer.
        yield {"offset": int(table.packets.pts[aim])}
        yield {"offset": int(table.packets.dts[aim])}
    if has_position and timed:
        yield by_position


def _is_indexed(container: InputContainer, stream: VideoStream, ticks: int) -> bool:
    """Whether the demuxer can find a time without reading up to it."""
    entries = stream.index_entries
    if not len(entries):
        return False
    return container.format.name not in INDEXED_AS_READ or entries[-1].timestamp >= ticks
