"""Changes to the bytes of a file, as values that can be written down and applied again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Write:
    """Put bytes over those at a place."""

    at: int
    data: str
    """Hexadecimal."""

    def apply(self, data: bytearray, _other: Callable[[str], bytes]) -> None:
        new = bytes.fromhex(self.data)[: max(0, len(data) - self.at)]
        data[self.at : self.at + len(new)] = new


@dataclass(frozen=True, slots=True)
class Cut:
    """Take the bytes ``start <= i < stop`` away."""

    start: int
    stop: int

    def apply(self, data: bytearray, _other: Callable[[str], bytes]) -> None:
        del data[self.start : self.stop]


@dataclass(frozen=True, slots=True)
class Copy:
    """Insert the bytes ``start <= i < stop`` a second time, at a place."""

    start: int
    stop: int
    at: int

    def apply(self, data: bytearray, _other: Callable[[str], bytes]) -> None:
        data[self.at : self.at] = data[self.start : self.stop]


@dataclass(frozen=True, slots=True)
class Splice:
    """Go on from `head` with the bytes of another file from `tail` on."""

    head: int
    other: str
    tail: int

    def apply(self, data: bytearray, other: Callable[[str], bytes]) -> None:
        data[self.head :] = other(self.other)[self.tail :]


Edit: TypeAlias = Write | Cut | Copy | Splice

_KINDS: dict[str, type[Edit]] = {kind.__name__.lower(): kind for kind in (Write, Cut, Copy, Splice)}


def apply(data: bytes, edits: Iterable[Edit], other: Callable[[str], bytes]) -> bytes:
    """Return the bytes after edits, one after the other; `other` gives the bytes of another file."""
    changed = bytearray(data)
    for edit in edits:
        edit.apply(changed, other)
    return bytes(changed)


def as_json(edits: Iterable[Edit]) -> list[dict[str, Any]]:
    """Return plain values."""
    return [{"kind": type(edit).__name__.lower()} | asdict(edit) for edit in edits]


def from_json(values: Iterable[dict[str, Any]]) -> tuple[Edit, ...]:
    """Return the edits that plain values stand for."""
    return tuple(
        _KINDS[value["kind"]](**{name: value[name] for name in value if name != "kind"}) for value in values
    )
