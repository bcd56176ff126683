"""Reads the first fields of many H.264 slices at once (ITU-T H.264, 7.3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from asyncframes._media.bitstream.parameter_sets import H264Format

_IDR, _SLICES = 5, {1, 5}

# By the first byte of a unit. Looking it up is much faster than `np.isin`.
_ARE_SLICES = np.array([header & 0x1F in _SLICES for header in range(256)])

# The fields of nearly every slice fit into one integer.
_BITS = 64
_BYTES = _BITS // 8

# More than these, in which bytes that prevent emulation may be removed.
_MOST_BYTES = 24

_MOST_NUMBER_BITS = 16


class SliceFields(NamedTuple):
    """The fields of a slice that tell the place of its picture.

    Attributes
    ----------
    is_idr, is_reference
        Whether the picture is an IDR picture, and whether others may refer to it.
    number
        ``frame_num``.
    order
        ``pic_order_cnt_lsb``, 0 if the stream has none.
    """

    is_idr: bool
    is_reference: bool
    number: int
    order: int


def slice_fields(packets: Sequence[Sequence[bytes]], form: H264Format) -> list[SliceFields] | None:
    """Read the first slice of each packet.

    Parameters
    ----------
    packets
        The units of each packet, of slices at least the first 24 bytes.
    form
        How all slices store the fields.

    Returns
    -------
    list of SliceFields or None
        ``None`` if a packet does not begin with a slice, or its fields are too long to be
        read at once.
    """
    if not all(packets) or max(form.number_bits, form.order_bits) > _MOST_NUMBER_BITS:
        return None
    slices = [units[0] for units in packets]
    headers = np.frombuffer(bytes([unit[0] for unit in slices]), np.uint8)
    if not _ARE_SLICES[headers].all():
        return None
    is_idr = headers & 0x1F == _IDR
    fields = _Fields(slices)
    for _ in range(3):  # first_mb_in_slice, slice_type, pic_parameter_set_id
        fields.skip_unsigned()
    numbers = fields.take(form.number_bits)
    fields.skip_unsigned(is_idr)  # idr_pic_id
    orders = fields.take(form.order_bits)
    if not fields.are_complete:
        return None
    columns = is_idr, headers & 0x60 > 0, numbers, orders
    return [*map(SliceFields, *(column.tolist() for column in columns))]


class _Fields:
    """Reads numbers from the payloads of many units, as `Bits` does from one."""

    def __init__(self, units: Sequence[bytes]) -> None:
        payloads = [unit[1 : _BYTES + 1] for unit in units]
        joined = b"".join(payloads)
        if b"\0\0\3" in joined:
            payloads = [unit[1:_MOST_BYTES].replace(b"\0\0\3", b"\0\0")[:_BYTES] for unit in units]
            joined = b"".join(payloads)
        self._left: NDArray[np.int64] = np.full(len(units), _BITS)
        if len(joined) < _BYTES * len(units):
            self._left = np.array([8 * len(payload) for payload in payloads])
            joined = b"".join([payload.ljust(_BYTES, b"\0") for payload in payloads])
        self._bits = np.frombuffer(joined, ">u8").astype(np.uint64)
        self._is_short = True

    @property
    def are_complete(self) -> bool:
        """Whether all numbers that were read were in the payloads."""
        return self._is_short and bool((self._left >= 0).all())

    def take(self, count: int) -> NDArray[np.uint64]:
        """Read a number of `count` bits from each unit."""
        if not count:
            return np.zeros_like(self._bits)
        taken = self._bits >> np.uint64(_BITS - count)
        self._bits <<= np.uint64(count)
        self._left -= count
        return taken

    def skip_unsigned(self, where: NDArray[np.bool_] | bool = True) -> None:
        """Pass over an Exp-Golomb number of each unit, or of some (ITU-T H.264, 9.1)."""
        # Half of the bits are exact as a float, whose exponent tells the number of leading zeros.
        high = self._bits >> np.uint64(_BITS // 2)
        self._is_short &= bool((high > 0)[where].all())
        zeros = _BITS // 2 - np.frexp(high.astype(np.float64))[1].astype(np.int64)
        lengths = np.where(where, 2 * np.minimum(zeros, _BITS // 2 - 1) + 1, 0)
        self._bits <<= lengths.astype(np.uint64)
        self._left -= lengths
