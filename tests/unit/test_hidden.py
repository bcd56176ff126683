"""Packets that become no frame, told by their first bytes, against what a decoder makes of them."""

from __future__ import annotations

import io

import av
import pytest

from asyncframes._media.bitstream.packet_syntax import packet_syntax
from tests.support.exact.corpus import CorpusFile, parameters
from tests.support.streams.clips import clip_bytes

LAGGED = {"deadline": "good", "cpu-used": "4", "auto-alt-ref": "1", "lag-in-frames": "16", "b": "200k"}


def shown_and_decoded(clip: bytes) -> tuple[list[bool], list[bool]]:
    """For each packet: whether it is taken to be shown, and whether a decoder puts a picture out for it."""
    with av.open(io.BytesIO(clip), "r") as container:
        stream = container.streams.video[0]
        is_hidden = packet_syntax(stream.codec_context.name, stream.codec_context.extradata).is_hidden
        told, packets = [], [packet for packet in container.demux(stream) if packet.size]
        pictures = set()
        for number, packet in enumerate(packets):
            told.append(is_hidden is None or not is_hidden(bytes(packet)))
            packet.pts = number
            pictures |= {frame.pts for frame in packet.decode()}
        pictures |= {frame.pts for frame in stream.codec_context.decode(None)}
        return told, [number in pictures for number in range(len(packets))]


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
@pytest.mark.parametrize("container", ["webm", "ivf"])
def test_alternate_reference_frames_are_told(codec: str, container: str) -> None:
    """An encoder that looks ahead makes pictures that are never shown; each is recognised."""
    clip = clip_bytes(
        frames=60, codec=codec, container=container, gop=60, options=LAGGED, width=160, height=96
    )
    told, decoded = shown_and_decoded(clip)
    assert told == decoded


@pytest.mark.parametrize(
    "file", [p for p in parameters() if p.values[0] is None or p.values[0].path.suffix in {".webm", ".gif"}]
)
def test_real_files(file: CorpusFile) -> None:
    """What is told of each packet of real WebM and GIF files is what a decoder does."""
    told, decoded = shown_and_decoded(file.path.read_bytes())
    assert told == decoded


def test_other_codecs_hide_nothing() -> None:
    """Where no rule is known every packet is taken to be shown."""
    told, decoded = shown_and_decoded(clip_bytes(frames=12))
    assert all(told)
    assert all(decoded)
