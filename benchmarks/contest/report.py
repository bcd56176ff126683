"""Write results as Markdown."""

from __future__ import annotations

from typing import Any

from benchmarks.contest.figures import OURS, spread, with_spread
from benchmarks.contest.goals import Entries, goals
from benchmarks.contest.store import Entry
from benchmarks.peers import CONTESTANTS

INTRODUCTION = """\
# What frames cost

`nox -s bench` runs `python -m benchmarks.bench_frames`, which writes this page. Each section says when and
how it was measured. [frames.json](frames.json) has every figure.

Each contestant runs in its own process, and they take turns in each round. The first round is a warm-up and
is not counted. Figures are medians, with the least and the most in parentheses. They include opening the
file, but not importing. Before a workload is timed, its frames are compared with those of asyncframes, after
scaling them down and fitting their colours, because libraries disagree on the matrix of an untagged video.
"Other frames" are closer to a neighbour of the requested frame than to the frame itself.
"""


def report(entries: Entries, order: list[str], plots: list[str]) -> str:
    """Return the whole page."""
    shown = {key: entries[key] for key in order if key in entries}
    parts = [INTRODUCTION, _circumstances(shown), "## Goals", _goals(shown)]
    parts += [f"![{name}]({name})" for name in plots]
    parts += [_section(key, entry) for key, entry in shown.items()]
    parts += ["## How each contestant is called", _settings()]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _circumstances(entries: Entries) -> str:
    """Return machine and versions; where workloads differ in these, name the workloads."""
    facts: dict[str, dict[str, list[str]]] = {}
    for key, entry in entries.items():
        named = {CONTESTANTS[name].name: version for name, version in entry["versions"].items()}
        for fact, said in (entry["machine"] | named).items():
            facts.setdefault(fact, {}).setdefault(said, []).append(key)
    return "\n".join(f"* {fact}: {_told(said)}" for fact, said in facts.items())


def _told(said: dict[str, list[str]]) -> str:
    if len(said) == 1:
        return next(iter(said))
    return "; ".join(f"{what} ({', '.join(keys)})" for what, keys in said.items())


def _goals(entries: Entries) -> str:
    lines = ["| workload | goal | measured | |", "|---|---|---|---|"]
    for goal in goals():
        try:
            outcome = goal.judge(entries)
            measured, met = outcome.measured, "met" if outcome.met else "**not met**"
        except (LookupError, ValueError):
            measured, met = "not measured", ""
        lines.append(f"| `{goal.subject}` | {goal.goal} | {measured} | {met} |")
    return "\n".join(lines)


def _section(key: str, entry: Entry) -> str:
    parts = [f"## `{key}`: {entry['title']}", _when(entry), _table(entry)]
    if entry["absent"]:
        left_out = "; ".join(f"{_name(name)}: {_escaped(why)}" for name, why in entry["absent"].items())
        parts.append(f"Left out: {left_out}.")
    return "\n\n".join(parts)


def _when(entry: Entry) -> str:
    videos = "; ".join(
        f"`{clip['path']}`: {clip['frames']} frames of {clip['width']}x{clip['height']}, "
        f"{clip['size'] / 1e6:.1f} MB"
        for clip in entry["clips"]
    )
    how = f"`{entry['command']}`, rounds counted: {entry['rounds']}, load before: {entry['load']}"
    return f"{entry['date']}, {how}. {videos}."


def _table(entry: Entry) -> str:
    rows: dict[str, Any] = entry["rows"]
    columns = {
        figure: heading_unit
        for figure, heading_unit in entry["columns"].items()
        if any(figure in row for row in rows.values())
    }
    contest = bool(entry["checks"])
    checks = entry["checks"]
    has_psnr = any(check["psnr"] is not None for check in checks.values())
    headings = [heading for heading, _ in columns.values()]
    headings += ["times asyncframes'"] * contest + ["PSNR of luma, dB"] * has_psnr + ["frames"] * contest
    lines = [f"| | {' | '.join(headings)} |", f"|---|{'--:|' * (len(headings) - contest)}{'---|' * contest}"]
    for name, row in rows.items():
        cells = [
            with_spread(spread(entry, name, figure), unit) if figure in row else ""
            for figure, (_, unit) in columns.items()
        ]
        if contest:
            cells.append(_ratio(entry, name))
        if has_psnr:
            cells.append(f"{checks[name]['psnr']:.1f}")
        if contest:
            cells.append(checks[name]["differs"] or "the same")
        lines.append(f"| {_name(name)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _ratio(entry: Entry, name: str) -> str:
    if OURS not in entry["rows"]:
        return ""
    return f"{spread(entry, name).median / spread(entry, OURS).median:.2f}"


def _settings() -> str:
    return "\n".join(f"* {contestant.name}: {contestant.settings}." for contestant in CONTESTANTS.values())


def _name(key: str) -> str:
    return CONTESTANTS[key].name if key in CONTESTANTS else key


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
