"""Reports packets to the caller while they are read."""

from __future__ import annotations

from typing import Literal, TypeAlias

from asyncframes._media.container.packet_reader import PacketHook
from asyncframes._types import PacketProgress

Phase: TypeAlias = Literal["index", "decode"]


def packet_hook(progress: PacketProgress | None, phase: Phase, total: int | None) -> PacketHook:
    """Return a hook that reports each packet read, or ``None`` without `progress`."""
    return None if progress is None else lambda _packet: progress(phase, total)


def report_listed(progress: PacketProgress | None, packets: int) -> None:
    """Report packets that a header listed all at once."""
    if progress is not None:
        for _ in range(packets):
            progress("index", packets)
