"""Outcomes, counted and laid out."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from dataclasses import asdict
from pathlib import Path

from tests.fuzz._run import Result

FAULTS = ("wrong", "foreign", "hang", "crash", "leak", "over time", "over memory")
"""Outcomes that must not be."""

_MEANINGS = {
    "right": "every frame is that of one thread, over every route",
    "provisional count": "the same, except for the count, which was marked as provisional",
    "damage reported": "exactly the damage that one thread flags is reported",
    "refused": "the policy does not allow it",
    "process ended": "the decoding process ended or was ended, and the error says so",
    "named error": "no frame, and an error of the library",
    "too large to compare": "pictures of more than 2 Mi pixels, of which only one is decoded",
    "no reference": "PyAV alone does not open it, or it has more than 300 packets",
    "reference hang": "PyAV alone took longer than allowed",
    "reference crash": "PyAV alone ended the process",
    "wrong": "frames, an index or a count that differ from one thread, or an error without damage",
    "foreign": "an exception of another library, caught or stray",
    "hang": "no result within the time allowed",
    "crash": "the process ended",
    "leak": "threads, tasks or files that remain",
    "over time": "a request took more than 5 s of CPU and ten decodes",
    "over memory": "more than 300 MB above the process's memory before",
}


class Tally:
    """What came of the cases so far."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.groups: dict[str, list[Result]] = defaultdict(list)
        self._by_what: dict[str, Counter[str]] = defaultdict(Counter)
        self._megabytes = 0.0
        self._process_megabytes = 0.0

    def add(self, result: Result) -> None:
        """Count a case."""
        self.kinds[result.kind] += 1
        self._by_what[result.what or "not opened"][result.kind] += 1
        self._megabytes = max(self._megabytes, result.megabytes)
        self._process_megabytes = max(self._process_megabytes, result.process_megabytes)
        if result.kind in FAULTS:
            self.groups[signature(result)].append(result)

    @property
    def cases(self) -> int:
        return self.kinds.total()

    @property
    def faults(self) -> int:
        return sum(self.kinds[kind] for kind in FAULTS)

    def markdown(self, facts: str) -> str:
        """Lay the outcomes out."""
        rows = [
            f"| {kind} | {self.kinds[kind]} | {meaning} |"
            for kind, meaning in _MEANINGS.items()
            if self.kinds[kind] or kind in FAULTS
        ]
        columns = [kind for kind in _MEANINGS if self.kinds[kind]]
        table = [
            f"| {what} | {' | '.join(str(counts[kind] or '') for kind in columns)} |"
            for what, counts in sorted(self._by_what.items())
        ]
        return "\n".join([
            "# Fuzzing\n", f"{facts}\n", f"{self.cases} cases, {self.faults} faults. Peak memory of a case: "
            f"{self._megabytes:.0f} MB beyond what its process held before{self._in_process()}.\n",
            "| outcome | cases | meaning |", "|---|--:|---|", *rows, "",
            f"| container and codec | {' | '.join(columns)} |", f"|---|{'--:|' * len(columns)}", *table,
            *self._faults(),
        ]) + "\n"  # fmt: skip

    def _in_process(self) -> str:
        if not self._process_megabytes:
            return ""
        return f"; of a decoding process: {self._process_megabytes:.0f} MB in all"

    def _faults(self) -> list[str]:
        lines = ["", "## Faults"] if self.groups else []
        for group, results in sorted(self.groups.items(), key=lambda item: -len(item[1])):
            first = min(results, key=lambda one: one.size)
            lines += [
                f"\n- {len(results)} × {group}: as case {first.case} ({first.name}, {first.size} bytes)"
            ]
            lines += [f"  - {text[:300]}" for text in first.detail[:6]]
        return lines

    def as_json(self) -> str:
        """Return everything for programs."""
        return json.dumps({
            "cases": self.cases, "faults": self.faults, "outcomes": dict(self.kinds),
            "peak_megabytes": self._megabytes, "peak_process_megabytes": self._process_megabytes,
            "by_what": {what: dict(counts) for what, counts in sorted(self._by_what.items())},
            "groups": {group: [one.case for one in results] for group, results in self.groups.items()},
        }, indent=1)  # fmt: skip


def signature(result: Result) -> str:
    """Name what kind of fault a result is, so that those alike fall together."""
    text = result.detail[0] if result.detail else ""
    if result.kind == "crash":
        text = " ".join(result.detail[:2])
    if result.kind in {"wrong", "foreign"}:
        in_sequence = any("in sequence" in one for one in result.detail)
        text = f"{'in sequence' if in_sequence else 'elsewhere'}: {text.split(': ', 1)[-1]}"
    text = re.sub(r"\[[^\]]*\]|'[^']*'|/\S+", "…", text)
    return f"{result.kind}: {result.what}: {re.sub(r'-?[0-9]+([.][0-9]+)?', '#', text)[:90]}"


def keep(result: Result, data: bytes, folder: Path) -> Path:
    """Write the input of a case down, and how to run it again."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{result.case}-{result.kind.replace(' ', '-')}{Path(result.name).suffix}"
    path.write_bytes(data)
    path.with_name(f"{path.name}.json").write_text(json.dumps(asdict(result), indent=1))
    return path
