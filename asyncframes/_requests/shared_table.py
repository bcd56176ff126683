"""A frame table with what decoding learns of it, shared by the requests and lanes of a video."""

from __future__ import annotations

from collections.abc import Iterable
from threading import Lock

from asyncframes._model.table import FrameTable


class SharedTable:
    """A frame table, and what decoding learns of it; threads may use it side by side.

    The table itself is immutable: what is learnt replaces it by another one.

    Parameters
    ----------
    table
        What is known at first.
    """

    def __init__(self, table: FrameTable) -> None:
        self._lock = Lock()
        self._table = table
        self._is_confirmed = False
        self._reads_from_start = False

    @property
    def table(self) -> FrameTable:
        """The table with all that is known by now."""
        return self._table

    @property
    def is_confirmed(self) -> bool:
        """Whether decoding output several pictures in a row as the table lists them."""
        return self._is_confirmed

    def confirm(self) -> None:
        """Note that decoding output several pictures in a row as the table lists them."""
        self._is_confirmed = True

    @property
    def reads_from_start(self) -> bool:
        """Whether packets are to be reached by reading from the start, because seeks proved wrong."""
        return self._reads_from_start

    def distrust_seeks(self) -> None:
        """Note that what a seek led to differed from a table that was verified."""
        self._reads_from_start = True

    def is_of(self, table: FrameTable) -> bool:
        """Whether a table is this one, perhaps as it was before more was learnt."""
        return self._table.packets is table.packets

    def mark_unsafe(self, packet: int) -> None:
        """Never start decoding at this packet again."""
        self._add_false_keyframes([packet])

    def mark_unsafe_through(self, packet: int) -> None:
        """Never start decoding at this packet or a keyframe before it again, but at the first packet."""
        self._add_false_keyframes([packet, *self._table.earlier_starts(packet)])

    def _add_false_keyframes(self, packets: Iterable[int]) -> None:
        with self._lock:
            self._table = self._table.without_keyframes(packets)
