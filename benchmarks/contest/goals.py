"""The goals, and whether the results meet them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from benchmarks.contest.figures import OURS, Spread, paired, spread, with_spread, written
from benchmarks.contest.store import Entry
from benchmarks.peers import CONTESTANTS

Entries: TypeAlias = dict[str, Entry]

SDK = "supervisely"
TORCHCODEC = "torchcodec"
PYAV = "pyav"
NEAR_END_BYTES = 3e6
FULL_SPEED = 1.05

CLIPS = ("clips", "clips_two", "clips_loader")
STEP_SECONDS = {"forward": 0.005, "backward": 0.012, "jump": 0.080}
REMOTE_SECONDS = 0.002
BATCH_TIMES = 1.25

# The promise says "about".
ABOUT = 1.05
INDEX_SECONDS = 1.0

# The first bytes of a file, which are read to look for its header, and what blocks hold beyond the header.
BESIDE_HEADER_BYTES = 1e6


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was measured, and whether it meets the goal."""

    measured: str
    met: bool


@dataclass(frozen=True, slots=True)
class Goal:
    """One goal; `judge` raises a LookupError if a figure was not measured."""

    subject: str
    goal: str
    judge: Callable[[Entries], Outcome]


def goals() -> list[Goal]:
    """List all goals."""
    return [
        *(_faster(key, TORCHCODEC, 1.0) for key in CLIPS),
        Goal("clips", f"1.2 times as fast as {_name(TORCHCODEC)} in one of the three", _best_clips),
        _faster("uniform", TORCHCODEC, 3.0),
        _faster("uniform", "decord", 2.2),
        *(_within_seconds(key, most) for key, most in STEP_SECONDS.items()),
        *(_as_local(key) for key in ("forward", "backward")),
        _faster("hd", TORCHCODEC, 1.1),
        _faster("hd", SDK, 1.4),
        _faster("small", TORCHCODEC, 1.1),
        _faster("small", SDK, 3.0),
        _overhead("hd", 0.03),
        _overhead("small", 0.08),
        *(_at_most(key, 1.1) for key in ("first", "opened", "near_end")),
        _faster("scattered", "torchcodec", 1.3),
        _faster("scattered", "torchcodec-approximate", 1.3),
        Goal("near_end_remote", "at most 3 MB fetched", _near_end_bytes),
        _faster("png", SDK, 2.6),
        Goal("png", f"files no larger than {_name(SDK)}'s", _png_bytes),
        _faster("jpeg", SDK, 1.5),
        _faster("jpeg", "opencv", 1.1),
        Goal("batch", f"{BATCH_TIMES:g} times as fast as `frames` and `np.stack`", _batch_seconds),
        Goal("batch", "at most half the memory", _batch_memory),
        Goal("event_loop", "99th percentile under 3 ms", lambda entries: _delay(entries, 0, "p99", 0.003)),
        Goal(
            "event_loop",
            "99th percentile under 3 ms with `idle_priority=True`",
            lambda entries: _delay(entries, 1, "p99", 0.003),
        ),
        Goal("event_loop", "worst under 20 ms", lambda entries: _delay(entries, 0, "worst", 0.020)),
        Goal("many", f"the videos being read take at most {FULL_SPEED:g} times as long", _full_speed),
        Goal("many", "threads within the executor's bound + 4", _threads),
        Goal("many", "memory within 5 % of the frames promised and the codec's own", _many_memory),
        Goal(
            "memory",
            "`stream_frames`: memory within the same",
            lambda e: _memory(e, 0),
        ),
        Goal("memory", "`stream_frames_to_dir`: memory within the same", lambda entries: _memory(entries, 1)),
        Goal("index", "of the longest under 1 s", _index_seconds),
        Goal("index", "reads only the header", _index_bytes),
    ]


def _name(key: str) -> str:
    return CONTESTANTS[key].name


def _unit(entry: Entry) -> str:
    _, unit = entry["columns"]["seconds"]
    return str(unit)


def _faster(workload: str, other: str, times: float) -> Goal:
    def judge(entries: Entries) -> Outcome:
        ours, theirs = spread(entries[workload], OURS), spread(entries[workload], other)
        ratio, unit = theirs.median / ours.median, _unit(entries[workload])
        said = f"x {ratio:.2f}: {with_spread(ours, unit)} against {with_spread(theirs, unit)}"
        return Outcome(said, ratio >= times)

    wanted = "at least as fast as" if times == 1 else f"at least {times:g} times as fast as"
    return Goal(workload, f"{wanted} {_name(other)}", judge)


def _overhead(workload: str, most: float) -> Goal:
    def judge(entries: Entries) -> Outcome:
        ratio = paired(entries[workload], OURS, "pyav")
        said = f"{ratio.median - 1:+.1%} in the same round ({ratio.least - 1:+.1%} to {ratio.most - 1:+.1%})"
        return Outcome(said, ratio.median - 1 < most)

    return Goal(workload, f"less than {most:.0%} over the {_name('pyav')}", judge)


def _at_most(workload: str, times: float) -> Goal:
    def judge(entries: Entries) -> Outcome:
        unit = _unit(entries[workload])
        ours, theirs = spread(entries[workload], OURS), spread(entries[workload], PYAV)
        ratio = ours.median / theirs.median
        said = f"x {ratio:.2f}: {with_spread(ours, unit)} against {with_spread(theirs, unit)}"
        return Outcome(said, ratio <= times)

    return Goal(workload, f"at most {times:g} times the time of the {_name(PYAV)}", judge)


def _within_seconds(workload: str, most: float) -> Goal:
    def judge(entries: Entries) -> Outcome:
        step = spread(entries[workload], OURS)
        return Outcome(with_spread(step, "ms"), step.median <= most)

    return Goal(workload, f"a median step of at most {most * 1e3:g} ms", judge)


def _as_local(workload: str) -> Goal:
    remote = f"{workload}_remote"

    def judge(entries: Entries) -> Outcome:
        far, near = spread(entries[remote], OURS), spread(entries[workload], OURS)
        said = f"{with_spread(far, 'ms')} against {with_spread(near, 'ms')}"
        return Outcome(said, far.median - near.median <= REMOTE_SECONDS)

    return Goal(remote, f"within {REMOTE_SECONDS * 1e3:g} ms of a local step", judge)


def _best_clips(entries: Entries) -> Outcome:
    ratios = {
        key: spread(entries[key], TORCHCODEC).median / spread(entries[key], OURS).median for key in CLIPS
    }
    best = max(ratios, key=lambda key: ratios[key])
    return Outcome(f"x {ratios[best]:.2f} in `{best}`", ratios[best] >= 1.2)


def _batch_seconds(entries: Entries) -> Outcome:
    batch, stacked = entries["batch"]["rows"]
    ratio = paired(entries["batch"], stacked, batch)
    said = f"x {ratio.median:.2f} in the same round ({ratio.least:.2f}-{ratio.most:.2f})"
    return Outcome(said, ratio.median >= BATCH_TIMES)


def _batch_memory(entries: Entries) -> Outcome:
    one, two = (spread(entries["batch"], row, "growth") for row in entries["batch"]["rows"])
    said = f"{with_spread(one, 'MB')} against {with_spread(two, 'MB')}"
    return Outcome(said, one.median <= two.median / 2 * ABOUT)


def _near_end_bytes(entries: Entries) -> Outcome:
    fetched = spread(entries["near_end_remote"], OURS, "bytes")
    return Outcome(with_spread(fetched, "MB"), fetched.median <= NEAR_END_BYTES)


def _png_bytes(entries: Entries) -> Outcome:
    ours, theirs = (spread(entries["png"], name, "file_bytes").median for name in (OURS, SDK))
    return Outcome(f"{written(ours, 'MB')} MB against {written(theirs, 'MB')} MB", ours <= theirs)


def _delay(entries: Entries, row: int, figure: str, most: float) -> Outcome:
    entry = entries["event_loop"]
    rows = list(entry["rows"])
    decoding, idle = spread(entry, rows[row], figure), spread(entry, rows[-1], figure)
    said = f"{with_spread(decoding, 'ms')}; when idle {with_spread(idle, 'ms')}"
    return Outcome(said, decoding.median < most)


def _full_speed(entries: Entries) -> Outcome:
    alone, among, _ = entries["many"]["rows"]
    ratio = paired(entries["many"], among, alone)
    said = f"x {ratio.median:.2f} in the same round ({ratio.least:.2f}-{ratio.most:.2f})"
    return Outcome(said, ratio.median <= FULL_SPEED)


def _threads(entries: Entries) -> Outcome:
    entry = entries["many"]
    _, among, _ = entry["rows"]
    threads, bound = spread(entry, among, "threads"), entry["executor_threads"] + 4
    return Outcome(f"{with_spread(threads, '')}, {bound} allowed", threads.most <= bound)


def _many_memory(entries: Entries) -> Outcome:
    _, among, codec = entries["many"]["rows"]
    return _within(entries["many"], among, codec)


def _memory(entries: Entries, row: int) -> Outcome:
    rows = list(entries["memory"]["rows"])
    return _within(entries["memory"], rows[row], rows[-1])


def _within(entry: Entry, row: str, codec: str) -> Outcome:
    """Compare memory with the frames promised and what the codec takes."""
    growth, promised, own = (
        spread(entry, row, "growth"),
        spread(entry, row, "promised").median,
        spread(entry, codec, "growth").median,
    )
    said = f"{with_spread(growth, 'MB')}; {written(promised, 'MB')} + {written(own, 'MB')} MB allowed"
    return Outcome(said, growth.median <= (promised + own) * ABOUT)


def _index_seconds(entries: Entries) -> Outcome:
    length, found = _longest(entries["index"], "seconds")
    return Outcome(f"{length}: {with_spread(found, 's')}", found.median < INDEX_SECONDS)


def _index_bytes(entries: Entries) -> Outcome:
    length, fetched = _longest(entries["index"], "bytes")
    header = spread(entries["index"], length, "header").median
    said = f"{length}: {with_spread(fetched, 'MB')}; the header has {written(header, 'MB')}"
    return Outcome(said, fetched.median <= header + BESIDE_HEADER_BYTES)


def _longest(entry: Entry, figure: str) -> tuple[str, Spread]:
    length = max(entry["rows"], key=lambda row: spread(entry, row, "frames").median)
    return length, spread(entry, length, figure)
