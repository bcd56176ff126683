"""A child process that runs one case after another, as it is told by lines of JSON."""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import random
import signal
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import asyncframes as af
from tests.fuzz._case import Case, note_peaks
from tests.fuzz._edits import Edit, apply, as_json, from_json
from tests.fuzz._mutations import mutate
from tests.fuzz._seeds import Seed, seeds_of
from tests.support.servers.web import RunningServer

if sys.platform != "win32":
    import resource

# The bytes are given as they are, by path, and by a server on this machine.
UNTRUSTED = replace(af.Policy.untrusted(), schemes={"file", "http"}, hosts=None)

_MEMORY = 6 * 1024**3
_CPU_SECONDS = 120


def choose(seeds: list[Seed], seed: int, case: int) -> tuple[Seed, tuple[Edit, ...]]:
    """Return the file of a case and its damage, the same for the same seed, number and seeds."""
    generator = random.Random(f"{seed}/{case}")
    file = generator.choices(seeds, [one.weight for one in seeds])[0]
    return file, mutate(file, seeds, generator)


def bytes_of(seeds: list[Seed], name: str, edits: tuple[Edit, ...]) -> bytes:
    """Return the bytes of a damaged file."""
    by_name = {one.name: one for one in seeds}
    return apply(by_name[name].read(), edits, lambda other: by_name[other].read())


class _Worker:
    def __init__(self, settings: dict[str, Any]) -> None:
        self._seed: int = settings["seed"]
        self._seeds = seeds_of(Path(settings["clips"]), with_files=settings["with_files"])
        self._path = Path(settings["folder"], "case")
        self._policy = UNTRUSTED if settings["is_untrusted"] else None
        if self._policy is not None:
            note_peaks()
        # What is printed by others must not stand between the replies.
        self._replies = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)

    def serve(self) -> None:
        with RunningServer() as server:
            for line in sys.stdin:
                self._answer(json.loads(line), server)

    def _answer(self, asked: dict[str, Any], server: RunningServer) -> None:
        if "edits" in asked:
            name, edits = asked["name"], from_json(asked["edits"])
        else:
            file, edits = choose(self._seeds, self._seed, asked["case"])
            name = file.name
        data = bytes_of(self._seeds, name, edits)
        self._path.write_bytes(data)
        self._say({"name": name, "edits": as_json(edits), "size": len(data)})
        limit = int(resource.getrusage(resource.RUSAGE_SELF).ru_utime) + _CPU_SECONDS
        resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
        plan = asked.get("plan") or f"{self._seed}/{asked['case']}"
        case = Case(data, self._path, plan, server, self._say_phase, self._policy)
        self._say({"outcome": asdict(case.run())})

    def _say_phase(self, phase: str) -> None:
        self._say({"phase": phase})

    def _say(self, reply: dict[str, Any]) -> None:
        self._replies.write(json.dumps(reply) + "\n")
        self._replies.flush()


def main() -> None:
    """Serve until the input ends."""
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    logging.getLogger("asyncframes").setLevel(logging.CRITICAL)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    _Worker(json.loads(sys.argv[1])).serve()
