"""A frame table and what decoding learns about it, shared by the requests and lanes of a video."""

from __future__ import annotations

from collections.abc import Iterable
from threading import Lock

from asyncframes._model.table import FrameTable


class SharedTable:
    """A frame table that is replaced as decoding learns more about it. Thread-safe.

    The table itself is immutable: each new fact produces another table.

    Parameters
    ----------
    table
        The table to start with.
    """

    def __init__(self, table: FrameTable) -> None:
        self._lock = Lock()
        self._table = table
        self._is_confirmed = False
        self._reads_from_start = False

    @property
    def table(self) -> FrameTable:
        """The table with everything learnt so far."""
        return self._table

    @property
    def is_confirmed(self) -> bool:
        """Whether the decoder has output several consecutive pictures as the table lists them."""
        return self._is_confirmed

    def confirm(self) -> None:
        """Record that the decoder has output several consecutive pictures as the table lists them."""
        self._is_confirmed = True

    @property
    def reads_from_start(self) -> bool:
        """Whether decoders must read from the start to reach a packet, because seeks proved wrong."""
        return self._reads_from_start

    def distrust_seeks(self) -> None:
        """Record that a seek led to other packets than a verified table lists."""
        self._reads_from_start = True

    def is_of(self, table: FrameTable) -> bool:
        """Whether `table` is this table or an earlier state of it."""
        return self._table.packets is table.packets

    def mark_unsafe(self, packet: int) -> None:
        """Never start decoding at `packet` again."""
        self._add_false_keyframes([packet])

    def mark_unsafe_through(self, packet: int) -> None:
        """Never start decoding at `packet` or at an earlier keyframe again, except the first packet."""
        self._add_false_keyframes([packet, *self._table.earlier_starts(packet)])

    def _add_false_keyframes(self, packets: Iterable[int]) -> None:
        with self._lock:
            self._table = self._table.without_keyframes(packets)
