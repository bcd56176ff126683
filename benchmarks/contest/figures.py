"""Read figures from stored results."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from benchmarks.contest.store import Entry

OURS = "ours"


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, minimum and maximum of some rounds."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, figures: list[float]) -> Spread:
        return cls(statistics.median(figures), min(figures), max(figures))


def spread(entry: Entry, row: str, figure: str = "seconds") -> Spread:
    """Return a figure of one row.

    Raises
    ------
    KeyError
        It was not measured.
    """
    return Spread.of(entry["rows"][row][figure])


def paired(entry: Entry, row: str, other: str) -> Spread:
    """Return how many times as long one row takes as another, round by round."""
    both = zip(entry["rows"][row]["seconds"], entry["rows"][other]["seconds"], strict=True)
    return Spread.of([one / two for one, two in both])


def written(value: float, unit: str) -> str:
    """Return a value in a unit, with as many digits as its size needs."""
    scaled = value * {"ms": 1e3, "MB": 1e-6}.get(unit, 1.0)
    if unit == "":
        return f"{scaled:g}"
    digits = 0 if scaled >= 100 else 1 if scaled >= 10 else 2 if scaled >= 0.1 or not scaled else 3
    return f"{scaled:.{digits}f}"


def with_spread(found: Spread, unit: str) -> str:
    """Return ``median unit (least-most)``, or the median alone if all rounds agree."""
    median, least, most = (written(value, unit) for value in (found.median, found.least, found.most))
    said = f"{median} {unit}".strip()
    return said if least == most else f"{said} ({least}-{most})"
