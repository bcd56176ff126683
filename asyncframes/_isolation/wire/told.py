"""What the decoding process tells beside answers: lines for the log, and counts of packets."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, get_args

from asyncframes._isolation.wire.plain_values import line, one_of, or_none, whole
from asyncframes._media.progress import Phase

_log = logging.getLogger("asyncframes")

_MOST_LINES = 1000

# In half a second, a process reads some ten thousand packets. It may be late.
_MOST_PACKETS = 1_000_000

_phase = one_of(*get_args(Phase))


class Told:
    """Logs lines, and passes counts of packets on.

    Attributes
    ----------
    tell_packets
        Called with the phase, how many packets there are in total, and how many more were read.
    """

    def __init__(self) -> None:
        self._lines = 0
        self.tell_packets: Callable[[Phase, int | None, int], None] | None = None

    def take(self, facts: dict[str, Any]) -> None:
        """Take what the process tells.

        Raises
        ------
        MalformedError
            A value is of another type, or out of range.
        """
        if "phase" in facts:
            counted = whole(facts.get("packets"), most=_MOST_PACKETS)
            phase, total = _phase(facts["phase"]), or_none(whole)(facts.get("total"))
            if self.tell_packets is not None:
                self.tell_packets(phase, total, counted)
            return
        self._lines += 1
        if self._lines <= _MOST_LINES:
            _log.log(whole(facts.get("level"), most=50), "%s", line(facts.get("text")))
