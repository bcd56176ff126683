"""Checks the first bytes of packets for damage, codec by codec."""

from __future__ import annotations

from collections.abc import Callable

# AV1 specification, 5.3 and 6.2.2: types of OBUs that hold a frame or part of one.
_AV1_FRAMES = {3, 4, 6, 7}

# ITU-T T.81, table B.1.
_DHT, _SOI, _SOS, _EOI = 0xC4, 0xD8, 0xDA, 0xD9
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})


def header_check(codec: str) -> Callable[[bytes], bool] | None:
    """Return the test for whether a packet's headers are intact, ``None`` for codecs without a test."""
    return {
        "libdav1d": _is_av1,
        "av1": _is_av1,
        "mjpeg": _is_jpeg,
        "mpeg4": _is_mpeg4,
        "vp8": _is_vp8,
        "vp9": _is_vp9,
    }.get(codec)


def _is_av1(data: bytes) -> bool:
    """Walk the OBUs of a temporal unit. They must fill it, and one must belong to a frame."""
    position, has_frame = 0, False
    while position < len(data):
        header = data[position]
        if header & 0x81:
            return False
        position += 2 if header & 4 else 1
        size = len(data) - position
        if header & 2:
            size, position = _leb128(data, position)
        position += size
        if size < 0 or position > len(data):
            return False
        has_frame = has_frame or header >> 3 & 15 in _AV1_FRAMES
    return has_frame


def _leb128(data: bytes, position: int) -> tuple[int, int]:
    """Read a number, or -1 if it does not end, and the position after it (AV1 specification, 4.10.5)."""
    value = 0
    for place, byte in enumerate(data[position : position + 8]):
        value |= (byte & 0x7F) << 7 * place
        if not byte & 0x80:
            return value, position + place + 1
    return -1, position


def _is_jpeg(data: bytes) -> bool:
    """Walk the segments of a JPEG up to its first scan. A frame header must come before it."""
    if data[:2] != b"\xff\xd8":
        return False
    position, has_frame = 2, False
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        if marker in _STANDALONE or marker == _SOI:
            position += 2
            continue
        if marker == _SOS:
            return has_frame
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        if length < 2 or marker == _EOI:
            return False
        if marker == _DHT and not _are_huffman_tables(data[position + 4 : position + 2 + length]):
            return False
        has_frame = has_frame or marker in _FRAME_HEADERS
        position += 2 + length
    return False


def _are_huffman_tables(data: bytes) -> bool:
    """Check the class, number and code lengths of each table (ITU-T T.81, B.2.4.2 and annex C)."""
    while data:
        kind, counts = data[0], data[1:17]
        room = sum(count << 16 - length for length, count in enumerate(counts, start=1))
        if len(counts) < 16 or kind & 0xEC or room > 1 << 16 or len(data) < 17 + sum(counts):
            return False
        data = data[17 + sum(counts) :]
    return True


def _is_mpeg4(data: bytes) -> bool:
    """Look for the start code of a picture (ISO/IEC 14496-2, table 6-3). A skipped picture is very short."""
    return len(data) <= 8 or b"\0\0\1\xb6" in data


def _is_vp8(data: bytes) -> bool:
    """Check the size of the first partition and the start code of a keyframe (RFC 6386, 9.1)."""
    if len(data) < 3:
        return False
    tag = int.from_bytes(data[:3], "little")
    is_keyframe = not tag & 1
    if is_keyframe and data[3:6] != b"\x9d\x01\x2a":
        return False
    return (tag >> 5) + (10 if is_keyframe else 3) <= len(data)


def _is_vp9(data: bytes) -> bool:
    """Check the frame marker, and the sync code of a keyframe (VP9 specification, 6.2)."""
    if not data or data[0] >> 6 != 2:
        return False
    profile = data[0] >> 5 & 1 | (data[0] >> 4 & 1) << 1
    if profile == 3 or data[0] >> 3 & 1:
        return True
    is_keyframe = not data[0] >> 2 & 1
    return not is_keyframe or data[1:4] == b"\x49\x83\x42"
