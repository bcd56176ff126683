"""Frame tables in files: the same table comes back, and nothing else is taken for one."""

from __future__ import annotations

import struct
import zlib
from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import asyncframes as af
from asyncframes._model.archive import _HEAD, _MAGIC, ArchiveError, _checksum, pack, unpack
from asyncframes._model.table import NO_TIMESTAMP, FrameTable, Packets, SourceIdentity

TICKS = st.one_of(st.just(NO_TIMESTAMP), st.integers(-(2**62), 2**62), st.integers(-50, 50))


@st.composite
def tables(draw: st.DrawFn) -> FrameTable:
    """Tables of any content, sense or not."""
    count = draw(st.integers(0, 30))

    def column(values: st.SearchStrategy[int]) -> np.typing.NDArray[np.int64]:
        return np.array(draw(st.lists(values, min_size=count, max_size=count)), np.int64)

    packets = Packets(
        pts=column(TICKS),
        dts=column(TICKS),
        position=column(st.integers(-1, 2**50)),
        size=column(st.integers(0, 2**40)),
        duration=column(st.integers(0, 2**40)),
        is_keyframe=column(st.integers(0, 1)).astype(bool),
        is_discard=column(st.integers(0, 1)).astype(bool),
    )
    is_verified = draw(st.booleans())
    shown = draw(st.permutations(range(count)))[: draw(st.integers(0, count))]
    if is_verified and shown:
        # Decoding may show that a packet gives several frames.
        shown = [*shown, *draw(st.lists(st.sampled_from(shown), max_size=3))]
    return FrameTable(
        packets,
        draw(st.fractions(min_value=Fraction(1, 10**9), max_value=10**9)),
        np.array(shown, np.int64),
        is_verified=is_verified,
        average_rate=draw(st.none() | st.fractions(min_value=0, max_value=1000)),
        false_keyframes=frozenset(draw(st.lists(st.integers(0, count - 1)))) if count else frozenset(),
        identity=draw(
            st.none()
            | st.builds(
                SourceIdentity,
                size=st.none() | st.integers(0, 2**60),
                validator=st.none() | st.text(),
                stream_index=st.integers(0, 9),
            )
        ),
        headers=draw(st.lists(st.tuples(st.integers(0, 2**50), st.binary()))),
    )


def small_table() -> FrameTable:
    columns = {column.name: np.arange(4, dtype=np.int64) for column in fields(Packets)[:5]}
    flags = np.array([True, False, True, False])
    packets = Packets(**columns, is_keyframe=flags, is_discard=~flags)
    identity = SourceIdentity(1234, '"etag"', 0)
    return FrameTable(
        packets,
        Fraction(1, 25),
        np.array([0, 2]),
        false_keyframes=frozenset({2}),
        identity=identity,
        headers=[(9, b"moof")],
    )


def assert_same(found: FrameTable, table: FrameTable) -> None:
    for column in fields(Packets):
        left, right = getattr(found.packets, column.name), getattr(table.packets, column.name)
        assert left.dtype == right.dtype
        assert left.tolist() == right.tolist()
    assert found.packet_of.tolist() == table.packet_of.tolist()
    for name in ("time_base", "average_rate", "is_verified", "false_keyframes", "identity"):
        assert getattr(found, name) == getattr(table, name)
    assert [*found.headers] == [*table.headers]
    if len(table.packets):
        assert [found.start_for(row) for row in range(len(found))] == [
            table.start_for(row) for row in range(len(table))
        ]


@given(table=tables())
def test_what_is_saved_comes_back(table: FrameTable) -> None:
    """Every field survives, and so do the starts that follow from them."""
    assert_same(FrameTable.from_bytes(table.to_bytes()), replace(table))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_damage_at_any_byte_is_noticed(tmp_path: Path, place: float, bit: int) -> None:
    """One bit turned anywhere makes loading a ValueError that names the file."""
    data = bytearray(small_table().to_bytes())
    data[int(place * len(data))] ^= 1 << bit
    path = tmp_path / "damaged.table"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"damaged\.table"):
        FrameTable.load(path)


@given(kept=st.floats(0, 1, exclude_max=True))
@example(kept=0.0)
def test_a_file_cut_off_anywhere_is_noticed(kept: float) -> None:
    """The first part of a table is not a table."""
    data = small_table().to_bytes()
    with pytest.raises(ArchiveError):
        FrameTable.from_bytes(data[: int(kept * len(data))])


@given(data=st.binary())
def test_foreign_bytes_are_refused(data: bytes) -> None:
    """Any bytes that are not a table raise the same kind of error."""
    with pytest.raises(ArchiveError):
        FrameTable.from_bytes(data)


def test_another_version_is_named() -> None:
    """A file of an older or newer format says which."""
    data = bytearray(small_table().to_bytes())
    struct.pack_into("<I", data, 12, 0)
    with pytest.raises(ArchiveError, match="version 0"):
        FrameTable.from_bytes(bytes(data))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"packet_of": np.array([0, 9])}, "do not exist"),
        ({"packet_of": np.array([0, 0])}, "several frames"),
        ({"pts": np.arange(3)}, "lengths"),
        ({"header_lengths": np.array([5])}, "header lengths"),
        ({"header_lengths": np.array([-4])}, "header lengths"),
    ],
)
def test_a_valid_checksum_does_not_make_a_valid_table(
    change: dict[str, np.typing.NDArray[np.int64]], message: str
) -> None:
    """Well-formed bytes with impossible contents are refused, and the error says what is wrong."""
    facts, arrays = unpack(3, small_table().to_bytes())
    with pytest.raises(ArchiveError, match=message):
        FrameTable.from_bytes(pack(3, facts, arrays | change))


@pytest.mark.parametrize(
    "change",
    [{"time_base": (0, 1)}, {"time_base": (1, 0)}, {"time_base": (-1, 25)}, {"false_keyframes": [2**70]}],
    ids=str,
)
def test_facts_that_cannot_be_are_refused(change: dict[str, Any]) -> None:
    """A time base that is no time, a number beyond 64 bits: no ZeroDivisionError, no OverflowError."""
    facts, arrays = unpack(3, small_table().to_bytes())
    with pytest.raises(ArchiveError):
        FrameTable.from_bytes(pack(3, facts | change, arrays))


def test_a_claim_of_gigabytes_is_not_believed() -> None:
    """A header that claims more than its payload can hold is refused before memory is allocated."""
    header = b'{"facts": {}, "arrays": [["a", "uint8", 9999999999]]}'
    body = _HEAD.pack(_MAGIC, 1, len(header)) + header + zlib.compress(bytes(1000))
    with pytest.raises(ArchiveError, match="impossible lengths"):
        unpack(1, body + _checksum(body))


def test_saving_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    """A second save takes the place of the first; there is no temporary file."""
    path = tmp_path / "a.table"
    path.write_text("something else")
    small_table().save(path)
    assert_same(af.FrameTable.load(str(path)), small_table())
    assert [*tmp_path.iterdir()] == [path]


def test_what_cannot_be_written_or_read_is_an_os_error(tmp_path: Path) -> None:
    """A missing folder raises the file system's own error, when saving and when loading."""
    with pytest.raises(OSError, match="nowhere"):
        small_table().save(tmp_path / "nowhere" / "a.table")
    with pytest.raises(FileNotFoundError):
        FrameTable.load(tmp_path / "a.table")
