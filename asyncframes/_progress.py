"""Progress bars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

from tqdm import tqdm

from asyncframes._session import PacketProgress

_LABELS = {"index": "Scanning packets", "decode": "Decoding packets"}


class Bar(tqdm):  # type: ignore[type-arg]  # not subscriptable at run time
    """A bar without tqdm's watching thread, which would outlive the call."""

    monitor_interval = 0


@contextmanager
def packet_bars(labels: Mapping[str, str] = _LABELS, *, leave: bool = True) -> Iterator[PacketProgress]:
    """Show one bar for each thing that packets are read for, from its first packet on.

    Parameters
    ----------
    labels
        What stands before the bars of ``"index"`` and ``"decode"``.
    leave
        Whether the bars stay on the screen when they are full.
    """
    bars: dict[str, Bar] = {}

    def advance(phase: Literal["index", "decode"], total: int | None) -> None:
        if phase not in bars:
            bars[phase] = Bar(desc=labels[phase], total=total, unit="pkt", leave=leave)
        bars[phase].update()

    try:
        yield advance
    finally:
        for bar in bars.values():
            bar.close()
