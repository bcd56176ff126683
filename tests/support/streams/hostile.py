"""Files that claim more than they hold, made where they are too large to keep."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.streams.clips import clip_bytes


def box(kind: bytes, data: bytes = b"") -> bytes:
    """Return a box of MP4."""
    return struct.pack(">I4s", 8 + len(data), kind) + data


def _mp4(**options: Any) -> bytes:
    return clip_bytes(frames=8, **(options or {"faststart": True}))


def _before_moov(filler: bytes) -> bytes:
    clip = _mp4()
    place = clip.index(b"moov") - 4
    return clip[:place] + filler + clip[place:]


def endless_moov(path: Path) -> None:
    """Write an MP4 whose header claims a million megabytes."""
    clip = _mp4()
    place = clip.index(b"moov") - 4
    data = bytearray(clip[:place] + struct.pack(">I4sQ", 1, b"moov", 10**12) + clip[place + 8 :])
    # The media lies eight bytes further on.
    table = data.index(b"stco") + 8
    for entry in range(int.from_bytes(data[table : table + 4], "big")):
        at = table + 4 + 4 * entry
        data[at : at + 4] = (int.from_bytes(data[at : at + 4], "big") + 8).to_bytes(4, "big")
    path.write_bytes(data)


def sidx_boxes(count: int) -> Callable[[Path], None]:
    """Return what writes an MP4 with so many segment indexes."""
    reference = struct.pack(">III", 1000, 1024, 0)
    one = box(b"sidx", struct.pack(">IIIIIHH", 0, 1, 12800, 0, 0, 0, 1) + reference)

    def write(path: Path) -> None:
        path.write_bytes(_mp4(fragmented=True) + one * count)

    return write


def empty_boxes(path: Path) -> None:
    """Write an MP4 of four million boxes with nothing in them."""
    path.write_bytes(_before_moov(box(b"free") * 4_000_000))


def sparse(container: str, codec: str, head_frames: int = 3) -> Callable[[Path], None]:
    """Return what writes a file of 4 GB, of which only the beginning is there."""
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"

    def write(path: Path) -> None:
        head = (
            clip_bytes(frames=head_frames, container=container, codec=codec, pixel_format=pixels)
            if head_frames
            else b"\0\0\0\1\x67"
        )
        with path.open("wb") as file:
            file.write(head)
            file.truncate(4 << 30)

    return write


def without_start_codes(path: Path) -> None:
    """Write 1.5 GB of raw H.264 that never goes on to a second unit after its beginning."""
    clip = clip_bytes(frames=8, container="h264")
    with path.open("wb") as file:
        file.write(clip)
        for _ in range(1500):
            file.write(b"\x55" * (1 << 20))


def _element(number: str, data: bytes) -> bytes:
    return bytes.fromhex(number) + (1 << 56 | len(data)).to_bytes(8, "big") + data


def one_byte_blocks(path: Path) -> None:
    """Write two million Matroska blocks of one byte."""
    head = _element(
        "1a45dfa3", _element("4282", b"matroska") + _element("4287", b"\4") + _element("4285", b"\2")
    )
    size = _element("b0", b"\1\x40") + _element("ba", b"\0\xf0")
    entry = _element("d7", b"\1") + _element("73c5", b"\1") + _element("83", b"\1")
    track = _element("ae", entry + _element("86", b"V_VP8") + _element("e0", size))
    clusters = []
    for start in range(0, 2_000_000, 25_000):
        blocks = b"".join(
            b"\xa3\x85\x81" + number.to_bytes(2, "big") + b"\x80\x10" for number in range(25_000)
        )
        clusters.append(_element("1f43b675", _element("e7", start.to_bytes(4, "big")) + blocks))
    info = _element("1549a966", _element("2ad7b1", (1_000_000).to_bytes(4, "big")))
    path.write_bytes(head + _element("18538067", info + _element("1654ae6b", track) + b"".join(clusters)))


def _crc(data: bytes) -> bytes:
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ 0x04C11DB7 if value & 0x80000000 else value << 1) & 0xFFFFFFFF
    return value.to_bytes(4, "big")


def _section(table: int, body: bytes, number: int, *, part: int = 0, last: int = 0) -> bytes:
    head = struct.pack(">BHHBBB", table, 0xB000 | len(body) + 9, number, 0xC1, part, last) + body
    return b"\0" + head + _crc(head)


def _ts(pid: int, payload: bytes, counter: int = 0, *, begins: bool = True) -> bytes:
    return bytes([0x47, begins << 6 | pid >> 8, pid & 255, 0x10 | counter]) + payload.ljust(184, b"\xff")


def many_pids(path: Path) -> None:
    """Write a transport stream of 7,800 elementary streams, in 260 programs."""
    listed = b"".join(struct.pack(">HH", number + 1, 0xE000 | 16 + number) for number in range(260))
    parts = [listed[place : place + 160] for place in range(0, len(listed), 160)]
    packets = [
        _ts(0, _section(0, part, 1, part=number, last=len(parts) - 1), number)
        for number, part in enumerate(parts)
    ]
    pids = range(300, 8100)
    for program in range(260):
        streams = b"".join(
            struct.pack(">BHH", 0x1B, 0xE000 | pid, 0xF000) for pid in pids[program * 30 :][:30]
        )
        table = _section(2, struct.pack(">HH", 0xFFFF, 0xF000) + streams, program + 1)
        packets.append(_ts(16 + program, table[:184]))
        packets.append(_ts(16 + program, table[184:], 1, begins=False))
    unit = b"\0\0\1\xe0\0\0\x80\x80\5\x21\0\1\0\1\0\0\0\1\x09\xf0"
    packets += [_ts(pid, unit, counter) for counter in range(3) for pid in pids]
    path.write_bytes(b"".join(packets))


MADE: dict[str, Callable[[Path], None]] = {
    "moov.mp4": endless_moov,
    "sidx_20000.mp4": sidx_boxes(20_000),
    "sidx_100000.mp4": sidx_boxes(100_000),
    "empty_boxes.mp4": empty_boxes,
    "blocks.mkv": one_byte_blocks,
    "no_start_code.h264": without_start_codes,
    "sparse.h264": sparse("h264", "libx264"),
    "sparse.mjpeg": sparse("mjpeg", "mjpeg"),
    "sparse.mkv": sparse("matroska", "libx264"),
    "empty.h264": sparse("h264", "libx264", 0),
    "pids.ts": many_pids,
}
