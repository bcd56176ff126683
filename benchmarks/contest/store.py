"""Read and write results: one entry for each workload, with its date."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

from benchmarks.contest.contests import Measured

Entry: TypeAlias = dict[str, Any]
"""A `Measured`, and when, where and how it was measured."""


def read(path: Path) -> dict[str, Entry]:
    """Return the stored entries."""
    found: dict[str, Entry] = json.loads(path.read_text()) if path.exists() else {}
    return found


def write(path: Path, entries: dict[str, Entry]) -> None:
    """Store all entries."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(entries, indent=1) + "\n")


def entry(measured: Measured, **context: Any) -> Entry:
    """Make an entry, without the folders of files."""
    made = asdict(measured) | context
    made["clips"] = [{**clip, "path": Path(clip["path"]).name} for clip in made["clips"]]
    return made
