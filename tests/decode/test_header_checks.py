"""Damaged packet headers shift no index, also where no request decodes the packet."""

from __future__ import annotations

import io
import pickle
import random
from fractions import Fraction
from typing import Any

import av
import pytest

import asyncframes as af
from asyncframes._media.bitstream.header_reader import HeaderReader, header_reader
from asyncframes._media.bitstream.nal import unit_format
from asyncframes._media.bitstream.packet_checks import PacketChecks
from asyncframes._media.stepwise import finished
from asyncframes._media.table import look
from asyncframes._model.packets import SoundPackets
from asyncframes.sources import MemorySource
from asyncframes.testing import FaultySource
from tests.support.exact.corpus import CorpusFile, parameters
from tests.support.exact.one_thread import OneThread, decode_by_one_thread, digest
from tests.support.marks import grid
from tests.support.streams.clips import clip_bytes

FRAMES, GOP = 24, 8

CLIPS: dict[str, dict[str, Any]] = {
    "h264 in mp4": {},
    "h264 in fragments": {"fragmented": True},
    "h264 in mpegts": {"container": "mpegts"},
    "h264 in matroska": {"container": "matroska"},
    "hevc in mp4": {"codec": "libx265"},
    "mpeg2 in mpegts": {"codec": "mpeg2video", "container": "mpegts"},
}

MPEG4: dict[str, dict[str, Any]] = {
    "mpeg4 in mp4": {"codec": "mpeg4"},
    "mpeg4 in matroska": {"codec": "mpeg4", "container": "matroska"},
    "mpeg4 in avi": {"codec": "mpeg4", "container": "avi"},
    "mpeg4 in avi without delay": {"codec": "mpeg4", "container": "avi", "b_frames": 0},
}

OTHERS: dict[str, dict[str, Any]] = {
    "av1 in mp4": {"codec": "libsvtav1"},
    "vp9 in webm": {"codec": "libvpx-vp9", "container": "webm"},
}


def packets_of(data: bytes) -> list[tuple[int, bytes]]:
    """Return the position and the bytes of each packet."""
    with av.open(io.BytesIO(data), "r") as container:
        packets = container.demux(container.streams.video[0])
        return [(packet.pos or 0, bytes(packet)) for packet in packets if packet.size]


def pts_of(data: bytes) -> list[int]:
    """Return the pts of each packet."""
    with av.open(io.BytesIO(data), "r") as container:
        return [packet.pts or 0 for packet in container.demux(container.streams.video[0]) if packet.size]


def with_a_damaged_header(data: bytes, seed: int) -> bytes:
    """Change bits at the beginning of one packet, not the first."""
    generator = random.Random(seed)
    position, packet = generator.choice(packets_of(data)[1:])
    # In a transport stream, a packet begins behind headers of the container.
    start = data.index(packet[:8], position)
    # A length comes before the first unit in MP4, and damage to it shows at once.
    first = 4 if len(packet) > 8 else 0
    changed = bytearray(data)
    for _ in range(generator.choice((1, 2, 8))):
        changed[start + generator.randrange(first, min(14, len(packet)))] ^= 1 << generator.randrange(8)
    return bytes(changed)


async def wrong_frames(source: Any, truth: OneThread, indices: list[int], **options: Any) -> list[int]:
    """Return the indices at which a fresh video gives another picture than a decode of the whole stream."""
    found = []
    for index in indices:
        async with af.open_video(source, on_corrupt="keep", **options) as video:
            frame = await video.frame(index)
            if frame.index != index % len(truth) or digest(frame.image) != truth.shown[index].image:
                found.append(index)
    return found


@pytest.mark.anyio
@pytest.mark.parametrize("kind", grid(CLIPS, fast=lambda kind: kind in {"h264 in mp4", "mpeg2 in mpegts"}))
async def test_a_frame_lost_where_no_request_reads_shifts_no_index(kind: str, long_streams: None) -> None:
    """The headers of all packets of a small file are read, and a damaged one has the stream decoded."""
    clip = clip_bytes(frames=FRAMES, gop=GOP, **CLIPS[kind])
    lost = 0
    for seed in range(40):
        data = with_a_damaged_header(clip, seed)
        truth = decode_by_one_thread(data)
        if 0 < len(truth) < FRAMES:
            lost += 1
            assert await wrong_frames(data, truth, [-1, len(truth) // 2]) == [], seed
    assert lost > 1


@pytest.mark.anyio
@pytest.mark.parametrize("threads", [1, 2])
async def test_a_damaged_header_is_not_skipped(
    threads: int, long_streams: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If packets are read only when they are decoded, those that may be skipped show their damage then."""
    monkeypatch.setattr(look, "SHORT_REMOTE_BYTES", 0)
    clip = clip_bytes(frames=FRAMES, gop=FRAMES)
    lost = 0
    for seed in range(40):
        data = with_a_damaged_header(clip, seed)
        truth = decode_by_one_thread(data)
        if 0 < len(truth) < FRAMES:
            lost += 1
            source = FaultySource(MemorySource(data))
            assert await wrong_frames(source, truth, [len(truth) - 1], threads=threads) == [], seed
    assert lost > 1


def joined(head: bytes, tail: bytes, cut: int, skip: int) -> bytes:
    """Join the first packets of one AVI and those of another from one on."""
    file = io.BytesIO()
    with av.open(file, "w", format="avi") as output, av.open(io.BytesIO(head), "r") as first:
        stream = output.add_stream_from_template(first.streams.video[0])
        packets = [packet for _, packet in packets_of(head)[:cut] + packets_of(tail)[skip:]]
        for number, data in enumerate(packets):
            packet = av.Packet(data)
            packet.stream, packet.time_base = stream, Fraction(1, 25)
            packet.pts = packet.dts = number
            output.mux(packet)
    return file.getvalue()


@pytest.mark.anyio
async def test_pictures_that_mpeg4_loses_at_a_cut_shift_no_index(long_streams: None) -> None:
    """A picture that refers to two others is skipped if its header places it outside them."""
    options: dict[str, Any] = {"frames": FRAMES, "gop": GOP, "codec": "mpeg4", "container": "avi"}
    head, tail = clip_bytes(b_frames=0, **options), clip_bytes(**options)
    changed = 0
    for skip in range(2, GOP + 3):
        data = joined(head, tail, FRAMES - GOP // 2, skip)
        truth = decode_by_one_thread(data)
        if len(truth) != len(packets_of(data)):
            changed += 1
            assert await wrong_frames(data, truth, [-1, -2, len(truth) // 2]) == [], skip
    assert changed > 2


@pytest.mark.anyio
async def test_intact_headers_need_no_decode(long_streams: None) -> None:
    """The table of a long undamaged stream is built from its packets."""
    for kind, clip in (CLIPS | MPEG4).items():
        async with af.open_video(clip_bytes(frames=FRAMES, gop=GOP, **clip)) as video:
            table = await video.frame_table()
            assert len(table) == FRAMES, kind
            assert table.is_provisional, kind


@pytest.mark.anyio
async def test_checked_headers_are_not_read_again(
    long_streams: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The headers are read for the table, and of a loaded table when packets are skipped."""
    data = clip_bytes(frames=FRAMES, gop=FRAMES)
    accepted: list[bytes] = []

    def accepts(reader: HeaderReader, packet: bytes) -> bool:
        accepted.append(packet)
        return True

    async with af.open_video(data, threads=1) as video:
        table = await video.frame_table()
        assert isinstance(table.packets, SoundPackets)
        monkeypatch.setattr(HeaderReader, "accepts", accepts)
        await video.frame(FRAMES - 1)
    assert not accepted
    loaded = pickle.loads(pickle.dumps(table))
    assert not isinstance(loaded.packets, SoundPackets)
    async with af.open_video(data, threads=1, frame_table=loaded) as video:
        await video.frame(FRAMES - 1)
    assert accepted


@pytest.mark.parametrize("kind", [*CLIPS, *OTHERS])
def test_packets_without_a_picture_are_not_accepted(kind: str) -> None:
    """A packet that holds only a message is no damage, but it is not accepted."""
    data = clip_bytes(frames=FRAMES, gop=GOP, **(CLIPS | OTHERS)[kind])
    packets = [packet for _, packet in packets_of(data)]
    with av.open(io.BytesIO(data), "r") as container:
        stream = container.streams.video[0]
        units = unit_format(stream.codec_context.name, stream.codec_context.extradata)
        checks, again = PacketChecks(stream), PacketChecks(stream)
    pts = pts_of(data)
    assert not checks.are_accepted
    assert not finished(checks.find_damage(packets, pts))
    assert checks.are_accepted
    if units is not None:
        message = b"\x4e\x01\x05\x01\x00\x80" if units.is_hevc else b"\x06\x05\x01\x00\x80"
        assert not finished(again.find_damage([*packets, units.packet_of([message])], [*pts, max(pts) + 1]))
        assert not again.are_accepted


@pytest.mark.parametrize("kind", [*CLIPS, *OTHERS])
def test_a_parser_knows_intact_packets(kind: str) -> None:
    """It accepts them in any number, and refuses packets of noise among them."""
    data = clip_bytes(frames=FRAMES, gop=GOP, **(CLIPS | OTHERS)[kind])
    packets = [packet for _, packet in packets_of(data)]
    with av.open(io.BytesIO(data), "r") as container:
        stream = container.streams.video[0]
        headers, checks = header_reader(stream), PacketChecks(stream)
    assert headers is not None
    assert all(map(headers.accepts, packets))
    noise = bytes(random.Random(0).randrange(1, 256) for _ in range(80))
    assert not headers.accepts(noise)
    assert finished(checks.find_damage([*packets, noise], range(len(packets) + 1)))
    assert not finished(checks.find_damage([noise, noise], range(2)))


@pytest.mark.parametrize("file", parameters())
def test_intact_real_files_pass(file: CorpusFile) -> None:
    """A false sign of damage would cost a decode of the whole stream."""
    if file.is_damaged or file.frame_count > 2000:
        pytest.skip("damaged, or long")
    with av.open(str(file.path), "r") as container:
        stream = container.streams.video[0]
        checks = PacketChecks(stream)
        if not checks.can_tell:
            pytest.skip("no parser for the codec")
        packets = [packet for packet in container.demux(stream) if packet.size]
    pts = [packet.pts for packet in packets]
    made_up = stream.codec_context.has_b_frames and pts == sorted(one or 0 for one in pts)
    if None in pts or len({*pts}) < len(pts) or made_up or any(packet.is_discard for packet in packets):
        pytest.skip("the stream is decoded for its table in any case")
    assert not finished(checks.find_damage(map(bytes, packets), [one or 0 for one in pts]))
