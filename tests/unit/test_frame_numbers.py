"""The numbers of H.264's reference pictures: whole streams count on, and a lost one shows."""

from __future__ import annotations

import io

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncframes._media.bitstream.frame_numbers import FrameNumbers, frame_numbers
from asyncframes._media.bitstream.nal import UnitFormat, unit_format
from tests.support.exact.corpus import CorpusFile, parameters
from tests.support.streams.clips import clip_bytes


def numbers_and_packets(
    source: io.BytesIO | str,
) -> tuple[FrameNumbers | None, UnitFormat | None, list[bytes]]:
    with av.open(source, "r") as opened:
        stream = opened.streams.video[0]
        codec = stream.codec_context
        units = unit_format(codec.name, codec.extradata)
        packets = [bytes(packet) for packet in opened.demux(stream) if packet.size]
        return frame_numbers(units, codec.extradata), units, packets


@pytest.mark.parametrize("container", ["mp4", "mpegts", "matroska"])
def test_a_whole_stream_counts_on(container: str) -> None:
    """From the first packet to the last, and from any keyframe on."""
    numbers, _, packets = numbers_and_packets(io.BytesIO(clip_bytes(frames=48, gop=12, container=container)))
    assert numbers is not None
    assert all(map(numbers.take, packets))
    numbers.reset()
    assert all(map(numbers.take, packets[12:]))


@pytest.mark.parametrize("lost", range(1, 12))
def test_a_lost_picture_shows_if_others_refer_to_it(lost: int) -> None:
    """The next picture tells; one that nobody refers to may go."""
    numbers, units, packets = numbers_and_packets(
        io.BytesIO(clip_bytes(frames=24, gop=12, container="mpegts"))
    )
    assert numbers is not None
    assert units is not None
    rest = packets[:lost] + packets[lost + 1 :]
    # Before an IDR picture nothing is missing that anything refers to.
    assert all(map(numbers.take, rest)) == (not units.is_reference(packets[lost]) or lost == 11)


def test_a_repeated_reference_shows() -> None:
    """Two pictures of one number are fields, or one too many."""
    clip = io.BytesIO(clip_bytes(frames=24, gop=12, container="mpegts"))
    numbers, _, packets = numbers_and_packets(clip)
    assert numbers is not None
    assert not all(map(numbers.take, [*packets[:2], *packets[1:]]))


@pytest.mark.parametrize("file", parameters())
def test_real_files_count_on(file: CorpusFile) -> None:
    """Undamaged files of others have no gaps, whatever their encoder."""
    if file.is_damaged or file.frame_count > 2000:
        pytest.skip("damaged, or long")
    numbers, _, packets = numbers_and_packets(str(file.path))
    if numbers is None:
        pytest.skip("another codec")
    assert all(map(numbers.take, packets))


@given(extradata=st.binary(max_size=80), packets=st.lists(st.binary(max_size=60), max_size=5))
def test_any_bytes_are_told(extradata: bytes, packets: list[bytes]) -> None:
    """Nothing is raised by hostile bytes."""
    for length_bytes in (0, 4):
        units = UnitFormat(is_hevc=False, length_bytes=length_bytes)
        numbers = frame_numbers(units, extradata) or FrameNumbers(units, 4, may_be_fields=True)
        assert {numbers.take(packet) for packet in packets} <= {True, False}
