"""Telling the caller of packets while they are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

from asyncframes._media.container.packet_reader import PacketHook

Phase: TypeAlias = Literal["index", "decode"]

PacketProgress: TypeAlias = Callable[[Phase, int | None], None]
"""Called in a worker thread for each packet read, with what for and how many there may be."""


def packet_hook(progress: PacketProgress | None, phase: Phase, total: int | None) -> PacketHook:
    """Return what tells of each packet that is read, ``None`` where nobody wants to know."""
    return None if progress is None else lambda _packet: progress(phase, total)


def report_listed(progress: PacketProgress | None, packets: int) -> None:
    """Tell of packets that a header lists all at once."""
    if progress is not None:
        for _ in range(packets):
            progress("index", packets)
