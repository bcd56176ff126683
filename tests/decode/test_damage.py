"""Frames by index around a packet that does not decode."""

from __future__ import annotations

import io

import av
import numpy as np
import pytest

import asyncframes as af
from asyncframes._media.pyav import packet_of
from tests.support.exact.one_thread import decode_by_one_thread
from tests.support.marks import BOTH_ISOLATIONS, grid
from tests.support.streams.clips import clip_bytes
from tests.support.streams.remux import VideoPacket, remux

pytestmark = [pytest.mark.usefixtures("only_long_streams"), BOTH_ISOLATIONS]

GOP = 12


def spoilt(clip: bytes, packet: int) -> bytes:
    """Overwrite the payload of one packet."""
    data = bytearray(clip)
    with av.open(io.BytesIO(data), "r") as container:
        packets = [found for found in container.demux(container.streams.video[0]) if found.size]
    place, size = packets[packet].pos, packets[packet].size
    assert place is not None
    data[place : place + size] = bytes(size)
    return bytes(data)


def damaged(packet: int) -> bytes:
    """Return a clip of three closed GOPs, one of whose packets does not decode."""
    return spoilt(clip_bytes(frames=3 * GOP, gop=GOP), packet)


@pytest.mark.parametrize(
    ("packet", "threads"),
    grid([13, 16, 17, 22, 31], [1, 2, 4], fast=lambda packet, threads: threads == 2 or packet == 17),
)
def test_every_frame_near_damage_is_that_of_a_sequential_decode(packet: int, threads: int) -> None:
    """Each request for one frame ends near the damage with pictures still inside the codec."""
    clip = damaged(packet)
    with af.sync.open_video(clip, on_corrupt="keep", threads=threads) as video:
        expected = [frame.image for frame in video.frames()]
    with af.sync.open_video(clip, on_corrupt="keep", threads=threads) as video:
        for index, image in enumerate(expected):
            assert np.array_equal(video.frame(index).image, image), index


@pytest.mark.parametrize("threads", [1, 4])
def test_a_keyframe_that_does_not_decode_is_no_place_to_start_at(threads: int) -> None:
    """Once it is known, what follows is decoded from the keyframe before it."""
    clip = damaged(GOP)
    with af.sync.open_video(clip, on_corrupt="keep", threads=threads) as video:
        expected = [frame.image for frame in video.frames()]
    with af.sync.open_video(clip, on_corrupt="keep", threads=threads) as video:
        video.frame(GOP + 3)
        for index in reversed(range(len(expected))):
            assert np.array_equal(video.frame(index).image, expected[index]), index


@pytest.mark.parametrize(
    ("packet", "threads"),
    grid(range(3 * GOP - 6, 3 * GOP), [2, 4], fast=lambda packet, threads: threads == 2 or packet % 3 == 0),
)
def test_damage_among_the_last_packets_loses_nothing_else(packet: int, threads: int) -> None:
    """What several threads still hold at the end comes out as with one, and damage is an error."""
    clip = damaged(packet)

    def indices(threads: int) -> list[tuple[int, int | None]]:
        with af.sync.open_video(clip, on_corrupt="skip", threads=threads) as video:
            return [(frame.index, frame.pts) for frame in video.frames()]

    assert indices(threads) == indices(1)
    with (
        af.sync.open_video(clip, threads=threads) as video,
        pytest.raises(af.errors.CorruptMediaError),
    ):
        list(video.frames())


def test_what_an_edit_list_leaves_out_at_the_end_is_not_taken_for_lost() -> None:
    """The packets after the last frame are read once, and nobody looks for their pictures."""
    data = bytearray(clip_bytes(frames=3 * GOP, gop=GOP))
    place = data.rindex(b"elst") + 12
    duration = int.from_bytes(data[place : place + 4], "big")
    data[place : place + 4] = (duration * 2 // 3).to_bytes(4, "big")
    packets = []
    with af.sync.open_video(
        bytes(data), packet_progress=lambda phase, _: packets.append(phase), threads=4
    ) as video:
        frames = len(list(video.frames()))
    assert 2 * GOP <= frames < 3 * GOP
    assert packets.count("decode") <= 3 * GOP


def cut_short(lengths: dict[int, int]) -> bytes:
    """Return a clip of MPEG-2 with leading B-frames, of whose packets some are cut short.

    A packet that ends with the start code of its first slice becomes no picture.
    """

    def edit(packets: list[VideoPacket]) -> list[VideoPacket]:
        for number, length in lengths.items():
            whole = packets[number]
            packets[number] = packet_of(bytes(whole)[:length])
            packets[number].pts, packets[number].dts = whole.pts, whole.dts
            packets[number].is_keyframe = whole.is_keyframe
        return packets

    clip = clip_bytes(frames=24, gop=8, codec="mpeg2video", container="matroska")
    return remux(clip, container="matroska", edit=edit)


@pytest.mark.parametrize("threads", [None, 1])
@pytest.mark.parametrize(
    ("lengths", "place"),
    [
        # The keyframe before it is decoded first, and shown two frames later.
        pytest.param({8: 22}, 7, id="leading picture"),
        # Its picture still comes out, but behind two that refer to it.
        pytest.param({0: 80, 1: 22}, 0, id="refused and shown"),
    ],
)
def test_an_error_by_index_names_where_one_thread_meets_the_damage(
    lengths: dict[int, int], place: int, threads: int | None
) -> None:
    clip = cut_short(lengths)
    places = decode_by_one_thread(clip).damaged_places()
    assert place in places
    found = set()
    with af.sync.open_video(clip, threads=threads) as video:
        for index in range(video.count()):
            try:
                video.frame(index)
            except af.errors.CorruptMediaError as exc:
                found.add(exc.index)
    assert place in found
    assert found <= places
