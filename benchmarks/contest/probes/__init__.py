"""What is no contest: what asyncframes does to its surroundings."""

from __future__ import annotations

from contest.probes.base import Probe
from contest.probes.event_loop import event_loop
from contest.probes.index import index
from contest.probes.many import many
from contest.probes.memory import memory
from contest.workloads import Sizes

__all__ = ["Probe", "probes"]


def probes(sizes: Sizes) -> dict[str, Probe]:
    """Name the probes."""
    return {
        "event_loop": event_loop(sizes),
        "memory": memory(sizes),
        "many": many(sizes),
        "index": index(sizes),
    }
