"""Progress bars."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

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


class ManyBars:
    """A bar for how many of many videos are done, and one below it for each that is being worked on."""

    def __init__(self, total: int | None) -> None:
        self._whole = _bar("all", total, "video", leave=True)

    def advance(self) -> None:
        """Count a video as done."""
        self._whole.update()

    def of(self, name: str) -> Bar:
        """Open the bar of one video, with no total as yet."""
        return _bar(name, None, "frame", leave=False)

    def close(self) -> None:
        """Leave the bar of the whole on the screen as it is."""
        self._whole.close()


def _bar(label: str, total: int | None, unit: str, **options: Any) -> Bar:
    return Bar(desc=label, total=total, unit=f" {unit}s", dynamic_ncols=True, file=sys.stderr, **options)
