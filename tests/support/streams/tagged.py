"""Clips with tags, and with sound that has a language and a title."""

from __future__ import annotations

import io

import av

from tests.support.streams.clips import clip_bytes


def tagged(container: str = "matroska", **tags: str) -> bytes:
    """Remux a clip with sound, and give it tags."""
    file = io.BytesIO()
    source = io.BytesIO(clip_bytes(frames=6, audio=True))
    with av.open(source, "r") as reader, av.open(file, "w", format=container) as writer:
        writer.metadata.update(tags)
        streams = {stream.index: writer.add_stream_from_template(stream) for stream in reader.streams}
        streams[1].metadata.update({"language": "fra", "title": "Commentary"})
        for packet in reader.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream_index]
                writer.mux(packet)
    return file.getvalue()
