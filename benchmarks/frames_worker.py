"""One measurement in a process of its own; the result is one line of JSON.

::

    python benchmarks/frames_worker.py version CONTESTANT
    python benchmarks/frames_worker.py contest CONTESTANT METHOD JOB [KEPT.npz]
    python benchmarks/frames_worker.py probe MODULE:FUNCTION JOB
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from contest.contestants import CONTESTANTS
from contest.job import Job

# Behind the installed packages, which are what is measured.
sys.path.append(str(Path(__file__).parents[1]))

# Libraries log to stdout; the result is to stand alone there.
answer = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def contest(name: str, method: str, job: Job, kept: str | None) -> dict[str, float]:
    """Time one contestant at one workload; with `kept`, keep some of the frames instead."""
    contestant = CONTESTANTS[name]()
    taken = 0
    images: dict[str, Any] = {}
    wanted = set(job.kept)

    def count(_image: Any) -> None:
        nonlocal taken
        taken += 1

    def keep(image: Any) -> None:
        nonlocal taken
        if taken in wanted:
            from tests.support.exact.same_frame import reduced

            images[str(taken)] = reduced(image)
        taken += 1

    arguments = [job] if method == "to_files" else [job, keep if kept else count]
    began = time.perf_counter()
    returned = getattr(contestant, method)(*arguments)
    seconds = time.perf_counter() - began
    if kept:
        import numpy as np

        np.savez(kept, **images)
    return {"seconds": seconds, "frames": taken, "count": returned or 0}


def probe(name: str, job: Job) -> dict[str, float]:
    """Measure what is no contest."""
    module, _, function = name.partition(":")
    found: dict[str, float] = getattr(import_module(module), function)(job)
    return found


def main(what: str, name: str, *rest: str) -> None:
    """Do what is asked for."""
    found: dict[str, Any]
    if what == "version":
        found = {"version": CONTESTANTS[name]().version()}
    elif what == "contest":
        found = contest(name, rest[0], Job.from_json(rest[1]), rest[2] if len(rest) > 2 else None)
    else:
        found = probe(name, Job.from_json(rest[0]))
    answer.write(json.dumps(found) + "\n")
    answer.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
