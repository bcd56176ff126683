"""Probes: what asyncframes does to its surroundings, with no other library to compare."""

from __future__ import annotations

from benchmarks.contest.workloads import Sizes
from benchmarks.probes.base import Probe
from benchmarks.probes.batch import batch
from benchmarks.probes.event_loop import event_loop
from benchmarks.probes.index import index
from benchmarks.probes.isolation import isolation_first, isolation_hd, isolation_small
from benchmarks.probes.many import many
from benchmarks.probes.memory import memory

__all__ = ["Probe", "probes"]


def probes(sizes: Sizes) -> dict[str, Probe]:
    """Return the probes by name."""
    return {
        "batch": batch(sizes),
        "event_loop": event_loop(sizes),
        "memory": memory(sizes),
        "many": many(sizes),
        "index": index(sizes),
        "isolation_first": isolation_first(sizes),
        "isolation_hd": isolation_hd(sizes.sequential),
        "isolation_small": isolation_small(sizes.small),
    }
