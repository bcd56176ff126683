"""Headers of packets: whole ones pass, cut and overwritten ones do not, and any bytes are told."""

from __future__ import annotations

import io

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncframes._media.bitstream.packet_headers import header_check
from tests.support.streams.clips import clip_bytes

CLIPS = {
    "libdav1d": ("libsvtav1", "mp4", "yuv420p"),
    "mjpeg": ("mjpeg", "matroska", "yuvj420p"),
    "mpeg4": ("mpeg4", "avi", "yuv420p"),
    "vp8": ("libvpx", "webm", "yuv420p"),
    "vp9": ("libvpx-vp9", "webm", "yuv420p"),
}


def packets_of(codec: str) -> list[bytes]:
    encoder, container, pixel_format = CLIPS[codec]
    clip = clip_bytes(frames=12, codec=encoder, container=container, pixel_format=pixel_format)
    with av.open(io.BytesIO(clip), "r") as opened:
        return [bytes(packet) for packet in opened.demux(opened.streams.video[0]) if packet.size]


@pytest.mark.parametrize("codec", CLIPS)
def test_packets_of_an_encoder_are_whole(codec: str) -> None:
    """Every packet that an encoder made passes."""
    check = header_check(codec)
    assert check is not None
    assert all(map(check, packets_of(codec)))


@pytest.mark.parametrize("codec", CLIPS)
def test_a_keyframe_whose_beginning_is_overwritten_is_not_whole(codec: str) -> None:
    """Other bytes at the beginning of a packet are seen."""
    check = header_check(codec)
    assert check is not None
    packet = packets_of(codec)[0]
    assert not check(b"\x5a" * 60 + packet[60:])


def test_a_huffman_table_of_too_many_codes_is_seen() -> None:
    """No JPEG decodes with one."""
    check = header_check("mjpeg")
    assert check is not None
    packet = packets_of("mjpeg")[0]
    counts = packet.index(b"\xff\xc4") + 5
    assert not check(packet[:counts] + b"\xff" * 16 + packet[counts + 16 :])


@given(codec=st.sampled_from([*CLIPS]), packet=st.binary(max_size=300))
def test_any_bytes_are_told(codec: str, packet: bytes) -> None:
    """Nothing is raised by hostile bytes."""
    check = header_check(codec)
    assert check is not None
    assert check(packet) in {True, False}


def test_other_codecs_are_not_looked_into() -> None:
    """Where no rule is known, none is made up."""
    assert header_check("prores") is None
