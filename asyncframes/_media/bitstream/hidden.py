"""Recognises packets that become no frame, by their bytes.

VP8 and VP9 have alternate reference frames, which are never shown. WebM stores them in
packets like any other, without a flag. A GIF may end with comments, which are one more
packet. Packets of H.264 and HEVC may hold only parameters, messages or the end of a
sequence, and no slice.
"""

from __future__ import annotations

from collections.abc import Callable

from asyncframes._media.bitstream.nal import DamagedPacketError, UnitFormat
from asyncframes._media.bitstream.packet_headers import header_check

_GIF_EXTENSION, _GIF_IMAGE = 0x21, 0x2C


def hidden_packets(codec: str, units: UnitFormat | None) -> Callable[[bytes], bool] | None:
    """Return the test for packets of a codec that become no frame, ``None`` if their bytes do not tell.

    The test raises `DamagedPacketError` for a packet that is damaged.

    Parameters
    ----------
    codec
        Name of FFmpeg's decoder.
    units
        How packets store NAL units, ``None`` for codecs without them.
    """
    if units is not None:
        return lambda packet: not units.has_picture(packet)
    is_hidden = {"vp8": _is_hidden_vp8, "vp9": _is_hidden_vp9, "gif": _has_no_gif_image}.get(codec)
    is_whole = header_check(codec)
    if is_hidden is None and is_whole is None:
        return None

    def becomes_nothing(packet: bytes) -> bool:
        if is_whole is not None and not is_whole(packet):
            raise DamagedPacketError
        return is_hidden is not None and is_hidden(packet)

    return becomes_nothing


def _is_hidden_vp8(data: bytes) -> bool:
    """Read ``show_frame`` (RFC 6386, 9.1): bit 4 of the first byte."""
    return not data[0] >> 4 & 1


def _is_hidden_vp9(data: bytes) -> bool:
    """Return whether a packet shows no frame. A superframe holds several (VP9 specification, annex B)."""
    marker = data[-1]
    if marker & 0xE0 != 0xC0:
        return not _shows_vp9(data[0], data[1] if len(data) > 1 else 0)
    count, width = (marker & 7) + 1, (marker >> 3 & 3) + 1
    index = data[-(2 + count * width) :]
    if len(index) != 2 + count * width or index[0] != marker:
        return not _shows_vp9(data[0], data[1] if len(data) > 1 else 0)
    position, shown = 0, False
    for number in range(count):
        size = int.from_bytes(index[1 + number * width : 1 + (number + 1) * width], "little")
        if size and position + 1 < len(data):
            shown = shown or _shows_vp9(data[position], data[position + 1])
        position += size
    return not shown


def _shows_vp9(first: int, second: int) -> bool:
    """Read ``show_existing_frame`` and ``show_frame`` of an uncompressed header (VP9 specification, 6.2)."""
    bits = first << 8 | second
    profile = bits >> 13 & 1 | (bits >> 12 & 1) << 1
    after_profile = 11 - (profile == 3)
    if bits >> after_profile & 1:
        return True
    return bool(bits >> after_profile - 2 & 1)


def _has_no_gif_image(data: bytes) -> bool:
    """Search the blocks of a GIF packet for an image descriptor (GIF89a specification, 20)."""
    position = _gif_header_length(data)
    while position + 1 < len(data) and data[position] == _GIF_EXTENSION:
        position += 2
        while position < len(data) and data[position]:
            position += 1 + data[position]
        position += 1
    return position >= len(data) or data[position] != _GIF_IMAGE


def _gif_header_length(data: bytes) -> int:
    if data[:3] != b"GIF":
        return 0
    if len(data) <= 10:
        return len(data)
    flags = data[10]
    return 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
