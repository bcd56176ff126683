"""Packets of an MP4 listed from its sample tables, against those that the demuxer gives."""

from __future__ import annotations

import io
from dataclasses import fields
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncframes._media.container.opening import open_container, select_stream
from asyncframes._media.files.media_files import DirectFile
from asyncframes._media.mp4.boxes import SparseFile
from asyncframes._media.mp4.claims import ContainerLimits
from asyncframes._media.mp4.fragments import media_ranges
from asyncframes._media.mp4.samples import packets_by_index
from asyncframes._media.stepwise import finished
from asyncframes._media.table.scan import PacketList, scan_header
from asyncframes._model.table import Packets
from asyncframes.errors import MediaError
from tests.support.exact.corpus import CorpusFile, parameters
from tests.support.marks import examples
from tests.support.streams.clips import clip_bytes
from tests.support.streams.remux import copied

CLIPS: dict[str, dict[str, Any]] = {
    "B-frames": {},
    "open GOP": {"open_gop": True},
    "no B-frames": {"b_frames": 0},
    "intra only": {"gop": 1, "b_frames": 0},
    "negative offsets": {"muxer_options": {"movflags": "+negative_cts_offsets"}},
    "no edit list": {"muxer_options": {"use_editlist": "0"}},
    "with audio": {"audio": True},
    "uneven times": {"pts": [7 + index + index * index // 9 for index in range(48)]},
    "MOV": {"container": "mov"},
}


def demuxed(data: bytes) -> tuple[Packets, Packets | None, Packets]:
    """List the packets of a file by demuxing its header, by its tables, and by `scan_header`."""
    file = DirectFile(io.BytesIO(data), len(data), "clip")
    media = finished(media_ranges(file))
    assert media is not None
    sparse = SparseFile(file, media)
    with open_container(sparse, options={"fflags": "noparse+nofillin"}) as container:
        stream = select_stream(container, None, "clip")
        packets, first = PacketList(), PacketList()
        for number, packet in enumerate(packet for packet in container.demux(stream) if packet.size):
            packets.add(packet)
            if number < 4:
                first.add(packet)
        by_index = packets_by_index(sparse, stream, first.finish())
        stream_index = stream.index
    scanned = finished(scan_header(file, stream_index, ContainerLimits()))
    assert scanned is not None
    return packets.finish(), by_index, scanned.packets


def assert_equal(found: Packets, expected: Packets) -> None:
    for column in fields(Packets):
        np.testing.assert_array_equal(
            getattr(found, column.name), getattr(expected, column.name), column.name
        )


@pytest.mark.parametrize("options", CLIPS.values(), ids=CLIPS)
def test_tables_list_what_the_demuxer_gives(options: dict[str, Any]) -> None:
    """Every field of every packet is the same, whatever times, references and edit lists."""
    expected, by_index, scanned = demuxed(clip_bytes(frames=48, **options))
    assert by_index is not None
    assert_equal(by_index, expected)
    assert_equal(scanned, expected)


@pytest.mark.parametrize("seconds", ["0.3", "0.5", "0.9"])
def test_edits_that_leave_samples_out_never_shift_the_others(
    ffmpeg: str, tmp_path: Path, seconds: str
) -> None:
    """Where a copy begins inside a GOP its edit list hides samples; what is listed is what is demuxed."""
    data = copied(ffmpeg, clip_bytes(frames=48), tmp_path / "cut.mp4", "-ss", seconds)
    expected, by_index, scanned = demuxed(data)
    assert_equal(scanned, expected)
    if by_index is not None:
        assert_equal(by_index, expected)


@pytest.mark.parametrize("lost", [1, 1000])
def test_a_file_that_is_cut_off_is_listed_by_demuxing(lost: int) -> None:
    """The index lists samples that are not there any more."""
    data = clip_bytes(frames=48, faststart=True)[:-lost]
    expected, by_index, scanned = demuxed(data)
    assert by_index is None
    assert_equal(scanned, expected)


@pytest.mark.parametrize("box", [b"stts", b"ctts"])
@pytest.mark.parametrize("change", [-1, 1, 1 << 20])
def test_tables_that_count_other_samples_are_not_used(box: bytes, change: int) -> None:
    """A first run that is longer or shorter than it was leaves the demuxer's word."""
    data = bytearray(clip_bytes(frames=48))
    place = data.rindex(box) + 12
    count = int.from_bytes(data[place : place + 4], "big")
    data[place : place + 4] = (count + change).to_bytes(4, "big")
    expected, by_index, scanned = demuxed(bytes(data))
    assert by_index is None
    assert_equal(scanned, expected)


@settings(max_examples=examples(200), deadline=None)
@given(place=st.integers(0, 10_000), value=st.integers(0, 255))
def test_damaged_tables_list_what_the_demuxer_gives_or_nothing(place: int, value: int) -> None:
    """Whatever byte of the sample tables is another, no packet is listed that is not demuxed so."""
    data = bytearray(clip_bytes(frames=48))
    tables = data.index(b"stts", data.rindex(b"moov")) - 4
    data[tables + place % (len(data) - tables)] = value
    try:
        expected, by_index, _ = demuxed(bytes(data))
    except (MediaError, av.FFmpegError):
        return
    if by_index is not None:
        assert_equal(by_index, expected)


@pytest.mark.parametrize("file", parameters(mp4=True))
def test_the_corpus_is_listed_as_it_is_demuxed(file: CorpusFile) -> None:
    """On every MP4 and MOV of the corpus, quick or not, the packets are the demuxer's."""
    data = file.path.read_bytes()
    if b"moof" in data:
        pytest.skip("fragments have no sample tables")
    expected, by_index, scanned = demuxed(data)
    assert_equal(scanned, expected)
    if by_index is not None:
        assert_equal(by_index, expected)
