"""The file format of frame tables: their fields as bytes, checked when they are read back."""

from __future__ import annotations

from dataclasses import asdict, fields
from fractions import Fraction
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from asyncframes._model.archive import ArchiveError, pack, unpack
from asyncframes._model.packets import BoolArray, Int64Array, Packets, SourceIdentity, distinct
from asyncframes._model.quoting import quoted

_FORMAT_VERSION = 3


class TableFields(TypedDict):
    """The fields of a `FrameTable`."""

    packets: Packets
    time_base: Fraction
    packet_of: Int64Array
    is_verified: bool
    average_rate: Fraction | None
    false_keyframes: frozenset[int]
    identity: SourceIdentity | None
    headers: tuple[tuple[int, bytes], ...]
    checksums: Int64Array | None
    is_damaged: BoolArray | None


def pack_table(table: TableFields) -> bytes:
    """Turn the fields of a table into bytes."""
    rate, identity, checksums, is_damaged = (
        table["average_rate"],
        table["identity"],
        table["checksums"],
        table["is_damaged"],
    )
    facts = {
        "time_base": table["time_base"].as_integer_ratio(),
        "average_rate": None if rate is None else rate.as_integer_ratio(),
        "is_verified": table["is_verified"],
        "false_keyframes": sorted(table["false_keyframes"]),
        "identity": None if identity is None else asdict(identity),
    }
    columns = {column.name: getattr(table["packets"], column.name) for column in fields(Packets)}
    if checksums is not None:
        columns["checksums"] = checksums
    if is_damaged is not None:
        columns["is_damaged"] = is_damaged
    return pack(
        _FORMAT_VERSION,
        facts,
        {
            **columns,
            "packet_of": table["packet_of"],
            "header_starts": np.array([start for start, _ in table["headers"]], np.int64),
            "header_lengths": np.array([len(data) for _, data in table["headers"]], np.int64),
            "header_bytes": np.frombuffer(b"".join(data for _, data in table["headers"]), np.uint8),
        },
    )


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


def _checked(facts: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> TableFields:
    packets = Packets(**{column.name: arrays[column.name] for column in fields(Packets)})
    packet_of, false_keyframes = arrays["packet_of"], {int(packet) for packet in facts["false_keyframes"]}
    checksums, is_damaged = arrays.get("checksums"), arrays.get("is_damaged")
    count = len(packets)
    if any(len(getattr(packets, column.name)) != count for column in fields(Packets)):
        raise ValueError("columns of different lengths")
    if len(distinct(packet_of)) != len(packet_of) or not _are_numbers_of(packet_of, count):
        raise ValueError("frames refer to packets that do not exist")
    if not _are_numbers_of(np.array([*false_keyframes], np.int64), count):
        raise ValueError("false keyframes that do not exist")
    if any(column is not None and len(column) != len(packet_of) for column in (checksums, is_damaged)):
        raise ValueError("checksums of frames that do not exist")
    rate, identity = facts["average_rate"], facts["identity"]
    return TableFields(
        packets=packets,
        time_base=Fraction(*facts["time_base"]),
        packet_of=packet_of,
        is_verified=bool(facts["is_verified"]),
        average_rate=None if rate is None else Fraction(*rate),
        false_keyframes=frozenset(false_keyframes),
        identity=None if identity is None else SourceIdentity(**identity),
        headers=_cut(arrays["header_starts"], arrays["header_lengths"], arrays["header_bytes"].tobytes()),
        checksums=checksums,
        is_damaged=is_damaged,
    )


def _are_numbers_of(numbers: Int64Array, count: int) -> bool:
    return not len(numbers) or bool(numbers.min() >= 0 and numbers.max() < count)


def _cut(starts: Int64Array, lengths: Int64Array, data: bytes) -> tuple[tuple[int, bytes], ...]:
    stops = np.cumsum(lengths)
    if (
        len(starts) != len(lengths)
        or np.any(lengths < 0)
        or (int(stops[-1]) if len(stops) else 0) != len(data)
    ):
        raise ValueError("header lengths that differ from their bytes")
    places = zip(starts.tolist(), stops.tolist(), lengths.tolist(), strict=True)
    return tuple((start, data[stop - length : stop]) for start, stop, length in places)
