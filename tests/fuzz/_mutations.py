"""Ways to damage a file, by what it is."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TypeAlias

from tests.fuzz._edits import Copy, Cut, Edit, Splice, Write
from tests.fuzz._seeds import Seed

Mutation: TypeAlias = Callable[[bytes, random.Random], list[Edit]]

_INTERESTING = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_TS_PACKET = 188
_HEADER = 4096

_BOXES = (
    b"moov trak mdia minf stbl stsd stts ctts stsc stsz stco co64 stss elst edts mdhd mvhd tkhd hdlr mdat "
    b"ftyp moof traf trun tfhd tfdt mfhd sidx mvex trex avcC hvcC av1C esds udta meta dref iloc iinf iprp"
).split()
_EBML = (
    b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67", b"\x1f\x43\xb6\x75", b"\x16\x54\xae\x6b", b"\x1c\x53\xbb\x6b",
    b"\x11\x4d\x9b\x74", b"\x15\x49\xa9\x66", b"\xe7", b"\xa3", b"\xa0", b"\xa1", b"\xae", b"\xe0", b"\xb0",
)  # fmt: skip
_CHUNKS = (b"RIFF", b"LIST", b"idx1", b"movi", b"00dc", b"strf", b"strh", b"avih", b"OggS")


def mutate(seed: Seed, others: Sequence[Seed], generator: random.Random) -> tuple[Edit, ...]:
    """Choose some damage for a file, the same for the same state of the generator."""
    data = seed.read()
    edits: list[Edit] = []
    for _ in range(generator.choice((1, 1, 1, 2, 3))):
        if generator.random() < 0.06:
            edits.append(_splice(seed, others, generator))
        else:
            way = generator.choice(_ways(data))
            edits += way(data, generator)
    return tuple(edits)


def _ways(data: bytes) -> list[Mutation]:
    ways: list[Mutation] = [_flip_header, _noise, _zeros, _flip, _number, _lose, _repeat, _truncate]
    head = data[:64]
    if head[4:8] in {b"ftyp", b"moov", b"free", b"mdat", b"wide", b"styp"}:
        ways += [_box_size, _box_field, _box_field, _sample]
    elif head[:4] == b"\x1a\x45\xdf\xa3":
        ways += [_element_size, _element_size, _sample]
    elif head[:1] == b"\x47" and data[_TS_PACKET : _TS_PACKET + 1] == b"\x47":
        ways += [_lose_ts, _lose_ts, _repeat_ts, _flag_ts]
    elif head[:4] in {b"RIFF", b"OggS"}:
        ways += [_chunk_size, _chunk_size]
    elif b"\x00\x00\x01" in head:
        ways += [_lose_unit, _lose_unit, _repeat_unit]
    return ways


def _splice(seed: Seed, others: Sequence[Seed], generator: random.Random) -> Edit:
    alike = [one for one in others if one.kind == seed.kind and one.size <= 4 * seed.size] or list(others)
    other = generator.choice(alike)
    place = generator.random()
    return Splice(int(seed.size * place), other.name, int(other.size * place))


def _bytes(generator: random.Random, count: int) -> str:
    return generator.randbytes(count).hex()


def _flip_header(data: bytes, generator: random.Random) -> list[Edit]:
    area = min(len(data), generator.choice((64, 512, _HEADER)))
    return [_flipped(data, generator.randrange(area), generator) for _ in range(generator.choice((1, 2, 8)))]


def _flip(data: bytes, generator: random.Random) -> list[Edit]:
    places = generator.choice((1, 1, 4, 32))
    return [_flipped(data, generator.randrange(len(data)), generator) for _ in range(places)]


def _flipped(data: bytes, at: int, generator: random.Random) -> Edit:
    return Write(at, bytes([data[at] ^ 1 << generator.randrange(8)]).hex())


def _noise(data: bytes, generator: random.Random) -> list[Edit]:
    count = generator.choice((1, 4, 16, 100, 400))
    return [Write(generator.randrange(len(data)), _bytes(generator, count))]


def _zeros(data: bytes, generator: random.Random) -> list[Edit]:
    return [Write(generator.randrange(len(data)), bytes(generator.choice((4, 50, 400, 2000))).hex())]


def _number(data: bytes, generator: random.Random) -> list[Edit]:
    width = generator.choice((1, 2, 4, 4, 8))
    value = generator.choice(_INTERESTING) % (1 << 8 * width)
    area = len(data) if generator.random() < 0.5 else min(len(data), _HEADER)
    order = generator.choice(("big", "little"))
    return [
        Write(generator.randrange(area), value.to_bytes(width, "big")[:: 1 if order == "big" else -1].hex())
    ]


def _span(data: bytes, generator: random.Random) -> tuple[int, int]:
    length = generator.choice((1, 7, 100, 188, 1500, 10_000))
    start = generator.randrange(len(data))
    return start, min(len(data), start + length)


def _lose(data: bytes, generator: random.Random) -> list[Edit]:
    return [Cut(*_span(data, generator))]


def _repeat(data: bytes, generator: random.Random) -> list[Edit]:
    start, stop = _span(data, generator)
    return [Copy(start, stop, stop if generator.random() < 0.6 else generator.randrange(len(data)))]


def _truncate(data: bytes, generator: random.Random) -> list[Edit]:
    if generator.random() < 0.25:
        return [Cut(0, generator.randrange(1, max(2, len(data) // 2)))]
    return [Cut(generator.randrange(len(data)), len(data))]


def _places(data: bytes, names: Sequence[bytes], generator: random.Random) -> int | None:
    """Return a place of one of some byte strings."""
    for name in generator.sample(list(names), len(names)):
        at = data.find(name)
        found: list[int] = []
        while at >= 0 and len(found) < 64:
            found.append(at)
            at = data.find(name, at + 1)
        if found:
            return generator.choice(found)
    return None


def _box_size(data: bytes, generator: random.Random) -> list[Edit]:
    at = _places(data, _BOXES, generator)
    if at is None or at < 4:
        return _flip_header(data, generator)
    size = int.from_bytes(data[at - 4 : at], "big")
    new = generator.choice((0, 1, 7, 8, size - 1, size + 1, size * 2, size + 8, 0x7FFFFFFF, 0xFFFFFFFF))
    return [Write(at - 4, (new % 2**32).to_bytes(4, "big").hex())]


def _box_field(data: bytes, generator: random.Random) -> list[Edit]:
    at = _places(data, _BOXES, generator)
    if at is None:
        return _flip_header(data, generator)
    place = at + 4 + 4 * generator.randrange(generator.choice((2, 4, 30)))
    old = int.from_bytes(data[place : place + 4], "big")
    new = generator.choice((*_INTERESTING, old + 1, old - 1, old * 2, old // 2, generator.randrange(2**32)))
    return [Write(place, (new % 2**32).to_bytes(4, "big").hex())]


def _sample(data: bytes, generator: random.Random) -> list[Edit]:
    """Spoil some bytes in the middle, where pictures lie."""
    at = len(data) // 10 + generator.randrange(max(1, len(data) * 8 // 10))
    return [Write(at, _bytes(generator, generator.choice((1, 3, 20, 200))))]


def _element_size(data: bytes, generator: random.Random) -> list[Edit]:
    name = generator.choice(_EBML)
    at = _places(data, [name], generator)
    if at is None:
        return _flip_header(data, generator)
    place = at + len(name)
    old = data[place] if place < len(data) else 0
    new = generator.choice(
        (b"\x80", b"\x81", b"\xff", b"\x01" + b"\xff" * 7, bytes([old ^ 1]), bytes([old ^ 64]))
    )
    return [Write(place, new.hex())]


def _ts(data: bytes, generator: random.Random) -> tuple[int, int]:
    packets = len(data) // _TS_PACKET
    first = generator.randrange(packets)
    return first * _TS_PACKET, min(packets, first + generator.choice((1, 1, 2, 7))) * _TS_PACKET


def _lose_ts(data: bytes, generator: random.Random) -> list[Edit]:
    edits: list[Edit] = [Cut(*_ts(data, generator)) for _ in range(generator.choice((1, 1, 3)))]
    return edits


def _repeat_ts(data: bytes, generator: random.Random) -> list[Edit]:
    start, stop = _ts(data, generator)
    return [Copy(start, stop, stop if generator.random() < 0.7 else _ts(data, generator)[0])]


def _flag_ts(data: bytes, generator: random.Random) -> list[Edit]:
    at = _ts(data, generator)[0] + generator.choice((1, 1, 2, 3, 4, 5))
    return [_flipped(data, min(at, len(data) - 1), generator)]


def _chunk_size(data: bytes, generator: random.Random) -> list[Edit]:
    at = _places(data, _CHUNKS, generator)
    if at is None:
        return _flip_header(data, generator)
    if data[at : at + 4] == b"OggS":
        return [Write(at + generator.randrange(4, 40), _bytes(generator, 1))]
    return [Write(at + 4, generator.choice(_INTERESTING).to_bytes(4, "little").hex())]


def _units(data: bytes, generator: random.Random) -> tuple[int, int]:
    """Return where a NAL unit, or a slice, begins and ends."""
    at = data.find(b"\x00\x00\x01")
    starts: list[int] = []
    while at >= 0 and len(starts) < 4000:
        starts.append(at)
        at = data.find(b"\x00\x00\x01", at + 3)
    place = generator.randrange(len(starts))
    return starts[place], starts[place + 1] if place + 1 < len(starts) else len(data)


def _lose_unit(data: bytes, generator: random.Random) -> list[Edit]:
    return [Cut(*_units(data, generator))]


def _repeat_unit(data: bytes, generator: random.Random) -> list[Edit]:
    start, stop = _units(data, generator)
    return [Copy(start, stop, stop if generator.random() < 0.6 else _units(data, generator)[0])]
