"""Draw results as plots."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.contest.figures import OURS, Spread, spread
from benchmarks.contest.store import Entry
from benchmarks.peers import CONTESTANTS

LENGTH = "length "
OURS_COLOUR, OTHERS_COLOUR = "#c2410c", "#94a3b8"
COLUMNS = 2


def draw(entries: dict[str, Entry], order: list[str], folder: Path) -> list[str]:
    """Draw the entries that exist; return the names of the files."""
    there = [key for key in order if key in entries and entries[key]["checks"]]
    contests = [entries[key] for key in there if LENGTH not in key]
    lengths = [entries[key] for key in there if LENGTH in key]
    names = []
    if contests:
        names.append(_save(_bars(contests), folder / "frames-workloads.svg"))
    if len(lengths) > 1:
        names.append(_save(_lines(lengths), folder / "frames-length.svg"))
    return names


def _pyplot() -> Any:
    mpl: Any = import_module("matplotlib")
    mpl.use("Agg")
    # The same results give the same file.
    mpl.rcParams.update({"svg.hashsalt": "frames", "svg.fonttype": "none", "font.size": 9})
    return import_module("matplotlib.pyplot")


def _save(figure: Any, path: Path) -> str:
    figure.savefig(path, metadata={"Date": None}, bbox_inches="tight")
    # matplotlib leaves blanks at the ends of lines
    path.write_text("".join(f"{line.rstrip()}\n" for line in path.read_text().splitlines()))
    return path.name


def _whiskers(found: list[Spread]) -> list[list[float]]:
    return [[each.median - each.least for each in found], [each.most - each.median for each in found]]


def _bars(contests: list[Entry]) -> Any:
    """Draw medians with whiskers to the minimum and maximum, a panel for each workload."""
    rows = -(-len(contests) // COLUMNS)
    figure, axes = _pyplot().subplots(
        rows, COLUMNS, figsize=(11, 2.6 * rows), squeeze=False, layout="constrained"
    )
    for panel, entry in zip(axes.flat, contests, strict=False):
        names = list(entry["rows"])[::-1]
        found = [spread(entry, name) for name in names]
        panel.barh(
            [CONTESTANTS[name].name for name in names],
            [each.median for each in found],
            xerr=_whiskers(found),
            color=[OURS_COLOUR if name == OURS else OTHERS_COLOUR for name in names],
            error_kw={"capsize": 2, "linewidth": 0.8},
        )
        panel.set_title(entry["title"], fontsize=9, loc="left")
        panel.set_xlabel("seconds, median and range")
        panel.set_xlim(left=0)
    for panel in axes.flat[len(contests) :]:
        panel.set_visible(False)
    return figure


def _lines(lengths: list[Entry]) -> Any:
    """Draw cost against length, both logarithmic."""
    figure, panel = _pyplot().subplots(figsize=(9, 5), layout="constrained")
    ticks = [_minutes(entry) for entry in lengths]
    for name, contestant in CONTESTANTS.items():
        points = [(_minutes(entry), spread(entry, name)) for entry in lengths if name in entry["rows"]]
        if not points:
            continue
        minutes, found = [at for at, _ in points], [each for _, each in points]
        style = {"color": OURS_COLOUR, "linewidth": 2.5, "zorder": 3} if name == OURS else {"linewidth": 1}
        medians = [each.median for each in found]
        panel.errorbar(
            minutes, medians, yerr=_whiskers(found), marker="o", markersize=3, label=contestant.name, **style
        )
    panel.set(xscale="log", yscale="log", xlabel="length, minutes", ylabel="seconds, median and range")
    panel.set_title("The number of frames and the last one, of 320x180", fontsize=9, loc="left")
    panel.set_xticks(ticks, [f"{tick:.3g}" for tick in ticks])
    panel.minorticks_off()
    panel.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    panel.grid(alpha=0.3)
    return figure


def _minutes(entry: Entry) -> float:
    [clip] = entry["clips"]
    numerator, _, denominator = clip["rate"].partition("/")
    return float(clip["frames"] * int(denominator or 1) / int(numerator) / 60)
