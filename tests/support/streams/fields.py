"""H.264 whose frames are coded as two fields each (PAFF), which no encoder at hand makes.

Macroblocks that changed are stored as their samples (I_PCM), the others are copied from the field of the same
parity before it (P_Skip). ITU-T H.264, clauses 7.3 (syntax) and 8.2.4.2.5 (which field that is).
"""

from __future__ import annotations

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from tests.support.streams.clips import paint

WIDTH, HEIGHT = 96, 64
GOP = 12

Planes = tuple[NDArray[np.uint8], ...]

_BLOCK = 16
_IDR, _SLICE, _SPS, _PPS = 0x65, 0x41, 0x67, 0x68
_I_SLICE, _P_SLICE = 7, 5
_PCM = {_I_SLICE: 25, _P_SLICE: 30}


class _Bits:
    """A bit string under construction."""

    def __init__(self) -> None:
        self._bits: list[str] = []

    def fixed(self, width: int, value: int) -> _Bits:
        """Append an unsigned number of fixed width."""
        self._bits.append(format(value, f"0{width}b"))
        return self

    def golomb(self, *values: int) -> _Bits:
        """Append Exp-Golomb codes."""
        for value in values:
            code = format(value + 1, "b")
            self._bits.append("0" * (len(code) - 1) + code)
        return self

    def aligned(self, data: bytes) -> _Bits:
        """Append bytes, after zeros up to a byte boundary."""
        self._bits.append("0" * (-sum(map(len, self._bits)) % 8))
        self._bits.append("".join(format(byte, "08b") for byte in data))
        return self

    def nal(self, header: int) -> bytes:
        """Return the NAL unit, with the trailing bits, in Annex B form."""
        bits = "".join(self._bits) + "1"
        bits += "0" * (-len(bits) % 8)
        payload = int(bits, 2).to_bytes(len(bits) // 8, "big")
        return b"\0\0\0\1" + bytes([header]) + _escaped(payload)


def _escaped(payload: bytes) -> bytes:
    escaped, zeros = bytearray(), 0
    for byte in payload:
        if zeros == 2 and byte <= 3:
            escaped.append(3)
            zeros = 0
        escaped.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(escaped)


def field_pairs(frames: int) -> list[tuple[bytes, bytes]]:
    """Encode painted frames: the access units of the top and the bottom field of each."""
    coded: list[tuple[bytes, bytes]] = []
    before: list[Planes] = [(), ()]
    for index in range(frames):
        fields = _fields(index)
        place = index % GOP
        top, bottom = (_field(place, parity, fields[parity], before[parity]) for parity in (0, 1))
        coded.append((top if place else _parameter_sets() + top, bottom))
        before = fields
    return coded


def _fields(index: int) -> list[Planes]:
    frame = VideoFrame.from_ndarray(paint(index, WIDTH, HEIGHT), "rgb24").reformat(format="yuv420p")
    planes = [
        np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[:, : plane.width]
        for plane in frame.planes
    ]
    return [tuple(plane[parity::2] for plane in planes) for parity in (0, 1)]


def _parameter_sets() -> bytes:
    sps = _Bits().fixed(8, 77).fixed(8, 0).fixed(8, 30)  # Main profile, level 3
    sps.golomb(0, 4, 0, 4, 2).fixed(
        1, 0
    )  # 8 bits of frame_num and of picture order count, two reference frames
    sps.golomb(WIDTH // _BLOCK - 1, HEIGHT // _BLOCK // 2 - 1).fixed(4, 0b0010).fixed(
        1, 1
    )  # fields allowed, not MBAFF
    sps.fixed(4, 0).fixed(1, 1).fixed(32, 1).fixed(32, 50).fixed(1, 1).fixed(3, 0)  # VUI: 50 fields a second
    sps.fixed(1, 1).fixed(1, 1).golomb(0, 0, 10, 10, 0, 2)  # no reordering
    pps = _Bits().golomb(0, 0).fixed(2, 0).golomb(0, 0, 0).fixed(3, 0).golomb(0, 0, 0).fixed(3, 0b100)
    return sps.nal(_SPS) + pps.nal(_PPS)


def _field(place: int, parity: int, planes: Planes, before: Planes) -> bytes:
    kind = _P_SLICE if place else _I_SLICE
    is_idr = place == parity == 0
    bits = _Bits().golomb(0, kind, 0).fixed(8, place).fixed(1, 1).fixed(1, parity)
    if is_idr:
        bits.golomb(0)
    bits.fixed(8, 2 * place + parity)
    if kind == _P_SLICE:
        bits.fixed(2, 0)  # one reference, in the usual order
    bits.fixed(2 if is_idr else 1, 0)  # how to mark it as a reference: the usual way
    bits.golomb(0, 1)  # no change of quantiser, no deblocking
    _macroblocks(bits, kind, planes, before)
    return bits.nal(_IDR if is_idr else _SLICE)


def _macroblocks(bits: _Bits, kind: int, planes: Planes, before: Planes) -> None:
    skipped = 0
    for row in range(HEIGHT // 2 // _BLOCK):
        for column in range(WIDTH // _BLOCK):
            samples = _samples(planes, row, column)
            if kind == _P_SLICE and samples == _samples(before, row, column):
                skipped += 1
                continue
            if kind == _P_SLICE:
                bits.golomb(skipped)
            skipped = 0
            bits.golomb(_PCM[kind]).aligned(samples)
    if skipped:
        bits.golomb(skipped)


def _samples(planes: Planes, row: int, column: int) -> bytes:
    parts = []
    for plane, size in zip(planes, (_BLOCK, _BLOCK // 2, _BLOCK // 2), strict=True):
        parts.append(plane[row * size : (row + 1) * size, column * size : (column + 1) * size].tobytes())
    return b"".join(parts)
