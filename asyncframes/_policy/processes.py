"""How many decoding processes a program may have."""

from __future__ import annotations

from asyncframes._model.options import OpenOptions
from asyncframes._policy.policy import Policy
from asyncframes._runtime.threads import cpus


def most_processes(options: OpenOptions) -> int | None:
    """Return how many videos with these options can have a process at once; ``None`` if none has one."""
    policy = options.get("policy") or Policy.trusted()
    is_isolated = (options.get("isolation") or policy.isolation) == "process"
    return (policy.max_workers or cpus()) if is_isolated else None
