"""What separates the decoder of a video from the program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from asyncframes._model.quoting import quoted_option

MEASURES = frozenset({"process", "rlimits", "landlock", "seccomp", "no_new_privileges"})
"""Names of everything that can separate a decoder from the program."""

LIMITED = frozenset({"address_space", "cpu_seconds", "file_size", "core_size", "descriptors", "processes"})
"""Names of what resource limits are set for."""

_MOST_NOTES = 16
_LONGEST_NOTE = 300
_LARGEST_ID = 2**32 - 1
_LARGEST_LIMIT = 2**64 - 1
_LARGEST_ABI = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class IsolationReport:
    """What separates the decoder of a video from the program.

    Systems differ in what they offer. `measures` names what took effect, and `notes` says what did
    not, and why.

    Attributes
    ----------
    mode
        ``"process"`` if the video is decoded in a process of its own, ``"none"`` if in threads of
        the program.
    pid
        The process, or ``None``.
    uid
        The user that the process runs as. ``None`` without a process, and on Windows.
    no_new_privileges
        Whether programs that the process might start cannot gain privileges. Linux only.
    rlimits
        Name and value of each resource limit. ``"address_space"`` (bytes, with all that was mapped
        before), ``"cpu_seconds"`` (with what was used before), ``"file_size"`` and ``"core_size"``
        (bytes), ``"descriptors"`` and ``"processes"`` (how many).
    landlock_abi
        Version of the kernel's Landlock interface by which files, and from later versions on TCP
        and signals to other processes, are refused. ``None`` if it is not in use.
    seccomp
        ``"allow-list"`` if system calls are refused except those that decoding needs. ``None`` if
        it is not in use.
    notes
        What is missing here and why, one sentence each.
    """

    mode: Literal["process", "none"]
    pid: int | None = None
    uid: int | None = None
    no_new_privileges: bool = False
    rlimits: tuple[tuple[str, int], ...] = ()
    landlock_abi: int | None = None
    seccomp: Literal["allow-list"] | None = None
    notes: tuple[str, ...] = ()

    @property
    def measures(self) -> frozenset[str]:
        """Names of what took effect.

        Some of ``"process"``, ``"rlimits"``, ``"landlock"``, ``"seccomp"`` and
        ``"no_new_privileges"``.
        """
        effective = {
            "process": self.mode == "process",
            "rlimits": bool(self.rlimits),
            "landlock": self.landlock_abi is not None,
            "seccomp": self.seccomp is not None,
            "no_new_privileges": self.no_new_privileges,
        }
        return frozenset(name for name in MEASURES if effective[name])

    def as_dict(self) -> dict[str, Any]:
        """Return the report as values that JSON and msgpack can carry."""
        return asdict(self) | {"rlimits": [list(pair) for pair in self.rlimits], "notes": list(self.notes)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> IsolationReport:
        """Return the report that `as_dict` made these values of.

        The values may be from a process that runs hostile code, so all of them are checked.

        Parameters
        ----------
        values
            One for each field.

        Returns
        -------
        IsolationReport
            Equal to the one that the values are of.

        Raises
        ------
        ValueError
            A field is missing, unknown, of another type or out of bounds, or fields contradict
            each other.
        """
        if not isinstance(values, Mapping) or set(values) != {field.name for field in fields(cls)}:
            raise ValueError(f"{quoted_option(values)} is no report of isolation: expected a value per field")
        report = cls(
            mode=_one_of(values, "mode", ("process", "none")),
            pid=_optional_number(values, "pid", 1, _LARGEST_ID),
            uid=_optional_number(values, "uid", 0, _LARGEST_ID),
            no_new_privileges=_one_of(values, "no_new_privileges", (True, False)),
            rlimits=_rlimits(values),
            landlock_abi=_optional_number(values, "landlock_abi", 1, _LARGEST_ABI),
            seccomp=_one_of(values, "seccomp", ("allow-list", None)),
            notes=_notes(values),
        )
        if report.mode == "process" and report.pid is None:
            raise _invalid("pid", None, "a number for a process")
        if report.mode == "none" and replace(report, notes=()) != cls(mode="none"):
            raise _invalid("mode", "none", "no measures without a process")
        return report


NOT_ISOLATED = IsolationReport(mode="none")
"""Of a video that threads of the program decode."""


def _one_of(values: Mapping[str, Any], name: str, allowed: tuple[Any, ...]) -> Any:
    value = values[name]
    if not any(type(value) is type(each) and value == each for each in allowed):
        raise _invalid(name, value, " or ".join(map(repr, allowed)))
    return value


def _optional_number(values: Mapping[str, Any], name: str, least: int, most: int) -> int | None:
    return None if values[name] is None else _number(name, values[name], least, most)


def _number(name: str, value: object, least: int, most: int) -> int:
    # True is an int too.
    if type(value) is not int or not least <= value <= most:
        raise _invalid(name, value, f"an integer from {least} to {most}")
    return value


def _rlimits(values: Mapping[str, Any]) -> tuple[tuple[str, int], ...]:
    pairs = values["rlimits"]
    if type(pairs) is not list or len(pairs) > len(LIMITED):
        raise _invalid("rlimits", pairs, f"a list of up to {len(LIMITED)} pairs")
    limits = tuple(map(_rlimit, pairs))
    if len(dict(limits)) != len(limits):
        raise _invalid("rlimits", pairs, "each name once")
    return limits


def _rlimit(pair: object) -> tuple[str, int]:
    if type(pair) is not list or len(pair) != 2 or type(pair[0]) is not str or pair[0] not in LIMITED:
        raise _invalid("rlimits", pair, f"a pair of one of {', '.join(sorted(LIMITED))} and a number")
    return pair[0], _number("rlimits", pair[1], 0, _LARGEST_LIMIT)


def _notes(values: Mapping[str, Any]) -> tuple[str, ...]:
    notes = values["notes"]
    if type(notes) is not list or len(notes) > _MOST_NOTES or not all(map(_is_note, notes)):
        raise _invalid(
            "notes", notes, f"a list of up to {_MOST_NOTES} lines of up to {_LONGEST_NOTE} characters"
        )
    return tuple(notes)


def _is_note(note: object) -> bool:
    # What is not printable may act on a terminal.
    return type(note) is str and len(note) <= _LONGEST_NOTE and note.isprintable()


def _invalid(name: str, value: object, expected: str) -> ValueError:
    return ValueError(
        f"{name}={quoted_option(value)} is invalid in a report of isolation: expected {expected}"
    )
