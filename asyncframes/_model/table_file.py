"""The file format of frame tables: their fields as bytes, checked when they are read back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from fractions import Fraction
from typing import Any, TypeAlias, TypedDict

import numpy as np
from numpy.typing import NDArray

from asyncframes._model.archive import ArchiveError, pack, unpack
from asyncframes._model.packets import BoolArray, Int64Array, Packets, SourceIdentity, distinct
from asyncframes._model.quoting import quoted

_FORMAT_VERSION = 3

Headers: TypeAlias = tuple[tuple[int, bytes], ...]
"""Ranges of the source that seeks need: where each starts, and its bytes."""


class TableFacts(TypedDict):
    """The fields of a `FrameTable` that are no arrays."""

    time_base: Fraction
    is_verified: bool
    average_rate: Fraction | None
    false_keyframes: frozenset[int]
    identity: SourceIdentity | None


class TableFields(TableFacts):
    """The fields of a `FrameTable`."""

    packets: Packets
    packet_of: Int64Array
    headers: Headers
    checksums: Int64Array | None
    is_damaged: BoolArray | None


def pack_table(table: TableFields) -> bytes:
    """Turn the fields of a table into bytes."""
    columns = {name: table[name] for name in ("checksums", "is_damaged", "packet_of")}
    return pack(_FORMAT_VERSION, plain_facts(table), arrays_of(table["packets"], columns, table["headers"]))


def plain_facts(table: TableFacts) -> dict[str, Any]:
    """Return the fields of a table that are no arrays as plain JSON values."""
    rate, identity = table["average_rate"], table["identity"]
    return {
        "time_base": table["time_base"].as_integer_ratio(),
        "average_rate": None if rate is None else rate.as_integer_ratio(),
        "is_verified": table["is_verified"],
        "false_keyframes": sorted(table["false_keyframes"]),
        "identity": None if identity is None else asdict(identity),
    }


def facts_from(plain: Mapping[str, Any]) -> TableFacts:
    """Return the fields that `plain_facts` turned into plain values."""
    rate, identity = plain["average_rate"], plain["identity"]
    return TableFacts(
        time_base=Fraction(*plain["time_base"]),
        is_verified=bool(plain["is_verified"]),
        average_rate=None if rate is None else Fraction(*rate),
        false_keyframes=frozenset(int(packet) for packet in plain["false_keyframes"]),
        identity=None if identity is None else SourceIdentity(**identity),
    )


def arrays_of(
    packets: Packets, columns: Mapping[str, NDArray[Any] | None], headers: Headers
) -> dict[str, NDArray[Any]]:
    """Return packets, other columns unless they are ``None``, and headers as arrays by name."""
    return {
        **{column.name: getattr(packets, column.name) for column in fields(Packets)},
        **{name: column for name, column in columns.items() if column is not None},
        "header_starts": np.array([start for start, _ in headers], np.int64),
        "header_lengths": np.array([len(data) for _, data in headers], np.int64),
        "header_bytes": np.frombuffer(b"".join(data for _, data in headers), np.uint8),
    }


def packets_in(arrays: Mapping[str, NDArray[Any]]) -> Packets:
    """Return the packets of `arrays_of`."""
    return Packets(**{column.name: arrays[column.name] for column in fields(Packets)})


def unpack_table(data: bytes, *, most_bytes: int | None = None) -> TableFields:
    """Return the fields that `pack_table` turned into bytes.

    Raises
    ------
    ArchiveError
        The bytes are not a table, are damaged, or are in another version of the format.
    """
    facts, arrays = unpack(_FORMAT_VERSION, data, most_bytes=most_bytes)
    try:
        return _checked(facts, arrays)
    except (KeyError, TypeError, ValueError, ArithmeticError, IndexError) as exc:
        raise ArchiveError(f"malformed: {quoted(exc)}") from exc


def _checked(plain: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> TableFields:
    packets, facts = packets_in(arrays), facts_from(plain)
    packet_of, false_keyframes = arrays["packet_of"], facts["false_keyframes"]
    checksums, is_damaged = arrays.get("checksums"), arrays.get("is_damaged")
    count = len(packets)
    if any(len(getattr(packets, column.name)) != count for column in fields(Packets)):
        raise ValueError("columns of different lengths")
    if not _are_numbers_of(packet_of, count):
        raise ValueError("frames refer to packets that do not exist")
    if not facts["is_verified"] and len(distinct(packet_of)) != len(packet_of):
        raise ValueError("a packet gives several frames, which only decoding can show")
    if not _are_numbers_of(np.array([*false_keyframes], np.int64), count):
        raise ValueError("false keyframes that do not exist")
    if any(column is not None and len(column) != len(packet_of) for column in (checksums, is_damaged)):
        raise ValueError("checksums of frames that do not exist")
    return TableFields(
        packets=packets,
        packet_of=packet_of,
        headers=headers_in(arrays),
        checksums=checksums,
        is_damaged=is_damaged,
        **facts,
    )


def _are_numbers_of(numbers: Int64Array, count: int) -> bool:
    return not len(numbers) or bool(numbers.min() >= 0 and numbers.max() < count)


def headers_in(arrays: Mapping[str, NDArray[Any]]) -> Headers:
    """Return the headers of `arrays_of`.

    Raises
    ------
    ValueError
        Their lengths differ from their bytes.
    """
    starts, lengths = arrays["header_starts"], arrays["header_lengths"]
    data, stops = arrays["header_bytes"].tobytes(), np.cumsum(lengths)
    if (
        len(starts) != len(lengths)
        or np.any(lengths < 0)
        or (int(stops[-1]) if len(stops) else 0) != len(data)
    ):
        raise ValueError("header lengths that differ from their bytes")
    places = zip(starts.tolist(), stops.tolist(), lengths.tolist(), strict=True)
    return tuple((start, data[stop - length : stop]) for start, stop, length in places)
