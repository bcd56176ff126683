"""Errors of the library in terms of the command line: its messages name arguments of Python."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping

_ALIASES = {
    "concurrency": "at_once",
    "hosts": "only_host",
    "max_write_workers": "workers",
    "read_timeout_seconds": "timeout",
    "schemes": "allow_scheme",
    "stream_index": "stream",
    "tolerance_seconds": "tolerance",
}

_TEXT = r"'[^']*'|\"[^\"]*\""
_VALUE = rf"(?:{_TEXT})(?: or (?:{_TEXT}))*|\([^()]*\)|[+-]?\w+(?:[.,]?\w+)*"
_ASSIGNED = re.compile(
    rf"(?P<verb>(?:pass|with) )?(?<![\w./?&-])(?P<name>[a-z]\w*)=(?P<value>{_VALUE})?", re.ASCII
)
# These contain what is an option on the command line.
_CALLS = (
    (re.compile(r"open_video\(…, ((?:[^()]|\([^()]*\))*)\)"), r"\1"),
    (re.compile(r", or dataclasses\.replace\([^()]*\)"), ""),
)
# Words that are names of arguments in these places only.
_PHRASES = (
    (re.compile(r"\bstart and end\b"), "--start and --end"),
    (re.compile(r"(?<=with )(times|fps|indices|keyframes)\b"), r"--\1"),
    (re.compile(r"(?<=; )(times|indices)(?= already)|(?<=and )(fps)(?=:)"), r"--\1\2"),
)


def flags_of(parser: argparse.ArgumentParser) -> dict[str, str]:
    """Return the options of a command by the names that Python has for them."""
    flags = {
        action.dest: next(name for name in action.option_strings if name.startswith("--"))
        for action in reversed(parser._actions)
        if action.option_strings
    }
    return flags | {name: flags[dest] for name, dest in _ALIASES.items() if dest in flags}


def with_flags(message: str, flags: Mapping[str, str], *, verbatim: str | None = None) -> str:
    """Return a message that names options of the command line instead of Python's arguments.

    Parameters
    ----------
    message
        Text of an error.
    flags
        Options by their names in Python. Other names stay.
    verbatim
        A part that stays as it is: the name of a source or a file.
    """
    if verbatim and verbatim in message:
        return verbatim.join(with_flags(part, flags) for part in message.split(verbatim))
    for call, text in _CALLS:
        message = call.sub(text, message)
    message = _ASSIGNED.sub(lambda found: _option(found, flags), message)
    for phrase, text in _PHRASES:
        message = phrase.sub(text, message)
    names = [name for name in flags if "_" in name]
    named = re.compile(rf"(?<![\w./?&-])(?:{'|'.join(names)})\b|^(?:{'|'.join(_ALIASES)})(?=:)")
    return named.sub(lambda found: flags.get(found[0], found[0]), message) if names else message


def _option(found: re.Match[str], flags: Mapping[str, str]) -> str:
    verb, name, value = found["verb"] or "", found["name"], found["value"] or ""
    flag = flags.get(name)
    if flag is None:
        return found[0]
    if value == "None" and verb == "with ":
        return f"without {flag}"
    if value == "False":
        return f"omit {flag}" if verb else f"without {flag}"
    return verb + " ".join(part for part in (flag, _written(name, value)) if part)


def _written(name: str, value: str) -> str:
    """Write a value as the command line takes it."""
    if value == "True":
        return ""
    if not value.startswith("("):
        return re.sub(r"['\"]", "", value)
    # Words without quotes stand for numbers.
    parts = [part.strip() for part in value.strip("()").split(",") if part.strip()]
    parts = [part.upper() if part.isalpha() and part != "None" else part for part in parts]
    parts = [part.strip("'\"").replace("None", "") for part in parts]
    return "x".join(parts) if name == "resize" else ",".join(parts)
