"""One measurement in a process of its own; the result is one line of JSON.

::

    python -m benchmarks.worker version CONTESTANT
    python -m benchmarks.worker contest CONTESTANT METHOD JOB [KEPT.npz]
    python -m benchmarks.worker probe MODULE:FUNCTION JOB
    python -m benchmarks.worker package PEER
    python -m benchmarks.worker ask PEER FILE ASKED.json GIVEN.npz

`bench_frames` uses the first three, `exactness_peers` the last two. Images go into the ``.npz`` file, scaled
down.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers import ASKED_BY_INDEX, CONTESTANTS
from benchmarks.peers.base import Peer, Reader
from benchmarks.peers.job import Job
from tests.support.exact.same_frame import reduced


def version(name: str) -> dict[str, str]:
    """Return the version of a contestant, with that of its FFmpeg."""
    return {"version": CONTESTANTS[name]().version()}


def contest(name: str, method: str, text: str, kept: str | None = None) -> dict[str, float]:
    """Time one contestant at one workload; with `kept`, keep some of the frames instead."""
    contestant, job = CONTESTANTS[name](), Job.from_json(text)
    taken = 0
    images: dict[str, Any] = {}
    wanted = set(job.kept)

    def count(_image: Any) -> None:
        nonlocal taken
        taken += 1

    def keep(image: Any) -> None:
        nonlocal taken
        if taken in wanted:
            images[str(taken)] = reduced(image)
        taken += 1

    arguments = [job] if method == "to_files" else [job, keep if kept else count]
    began = time.perf_counter()
    returned = getattr(contestant, method)(*arguments)
    seconds = time.perf_counter() - began
    if kept:
        np.savez(kept, **images)
    # Some methods time a part of what they do.
    figures = returned if isinstance(returned, dict) else {"count": returned or 0}
    return {"seconds": seconds, "frames": taken, **figures}


def probe(name: str, text: str) -> dict[str, float]:
    """Run one variant of a probe."""
    module, _, function = name.partition(":")
    found: dict[str, float] = getattr(import_module(module), function)(Job.from_json(text))
    return found


def package(name: str) -> dict[str, str]:
    """Return the version of the package that a peer is installed from."""
    peer = ASKED_BY_INDEX[name]()
    return {"version": metadata.version(peer.package)}


def ask(name: str, path: str, asked: str, given: str) -> dict[str, Any]:
    """Open a file, ask for frames by index, and return how that went."""
    peer, wanted = ASKED_BY_INDEX[name](), json.loads(Path(asked).read_text())
    images: dict[str, Any] = {}
    said = _ask(peer, path, wanted, images)
    np.savez(given, **images)
    return said


def _ask(peer: Peer, path: str, wanted: dict[str, list[Any]], images: dict[str, Any]) -> dict[str, Any]:
    try:
        video = peer.read(path, wanted["pts"])
    except Exception as exc:  # noqa: BLE001 - libraries raise what they like
        return {"opened": False, "error": _line(exc)}
    count, errors = _count(video), {}
    for index in wanted["indices"]:
        try:
            images[str(index)] = reduced(video.frame(index))
        except Exception as exc:  # noqa: BLE001
            errors[index] = _line(exc)
    video.close()
    return {"opened": True, "count": count, "errors": errors}


def _count(video: Reader) -> int | str:
    try:
        return video.count()
    except Exception as exc:  # noqa: BLE001
        return _line(exc)


def _line(exc: Exception) -> str:
    return f"{type(exc).__name__}: {' '.join(str(exc).split())}"[:160]


WORK = {work.__name__: work for work in (version, contest, probe, package, ask)}


def main() -> None:
    """Do one thing and print its result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("work", choices=WORK)
    parser.add_argument("arguments", nargs="+")
    asked = parser.parse_args()
    # Libraries print to stdout, where the result must stand alone.
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    do: Any = WORK[asked.work]
    answer.write(json.dumps(do(*asked.arguments)) + "\n")
    answer.flush()


if __name__ == "__main__":
    main()
