"""Reads numbers from the bits of headers."""

from __future__ import annotations

from asyncframes._media.bitstream.nal import DamagedPacketError

_MOST_ZEROS = 32


class Bits:
    """Reads numbers from the payload of a unit.

    Every method raises `DamagedPacketError` at the end of the payload.

    Parameters
    ----------
    payload
        The bytes.
    escaped
        Whether they hold emulation prevention bytes, as H.264 and HEVC do, which are removed.
    """

    def __init__(self, payload: bytes, *, escaped: bool = True) -> None:
        plain = payload.replace(b"\0\0\3", b"\0\0") if escaped else payload
        # Only the bits that are left: those already read are removed.
        self._value = int.from_bytes(plain, "big")
        self._left = 8 * len(plain)

    def take(self, count: int) -> int:
        """Read a number of `count` bits."""
        self._left -= count
        if self._left < 0:
            raise DamagedPacketError
        taken = self._value >> self._left
        self._value -= taken << self._left
        return taken

    def unsigned(self) -> int:
        """Read an Exp-Golomb number (ITU-T H.264, 9.1)."""
        zeros = self._left - self._value.bit_length()
        if zeros > _MOST_ZEROS:
            raise DamagedPacketError
        return self.take(2 * zeros + 1) - 1

    def signed(self) -> int:
        """Read a signed Exp-Golomb number (ITU-T H.264, 9.1.1)."""
        code = self.unsigned()
        return (code + 1) // 2 if code & 1 else -(code // 2)
