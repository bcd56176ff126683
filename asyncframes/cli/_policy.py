"""Options that limit what a source may cost and reach."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

import asyncframes as af
from asyncframes.cli import _options

_NUMBERS: dict[str, tuple[type[int] | type[float], str]] = {
    "max_pixels": (int, "most pixels of a picture"),
    "max_source_bytes": (int, "longest source"),
    "max_read_bytes": (int, "most bytes to fetch"),
    "max_output_frames": (int, "most frames to decode into images"),
    "max_output_bytes": (int, "most bytes of their images"),
    "deadline_seconds": (float, "most wall-clock time for opening, and for the frames"),
    "cpu_seconds": (float, "most CPU time for the same"),
}


def add_policy_options(parser: argparse.ArgumentParser) -> None:
    """Add --untrusted and the single limits."""
    group = parser.add_argument_group("limits")
    group.add_argument(
        "--untrusted",
        action="store_true",
        help="the source is somebody else's: allow only https, http and data: URLs with public addresses, "
        "and what browsers and phones record, within limits (Policy.untrusted)",
    )
    group.add_argument(
        "--allow-scheme",
        action="append",
        default=[],
        metavar="SCHEME",
        help="with --untrusted: allow this scheme too, such as file; may be repeated",
    )
    group.add_argument(
        "--only-host",
        action="append",
        default=[],
        metavar="HOST",
        help="connect to no other host; *.example.com, 10.1.0.0/16, public, with :PORT; may be repeated",
    )
    for name, (kind, what) in _NUMBERS.items():
        group.add_argument(
            f"--{name.replace('_', '-')}", type=_options.positive(kind), metavar="N", help=what
        )


def policy_of(arguments: argparse.Namespace) -> af.Policy | None:
    """Return the policy that the options ask for, ``None`` if they ask for none.

    Raises
    ------
    argparse.ArgumentError
        An option is invalid, or needs another one.
    """
    given: dict[str, Any] = {name: getattr(arguments, name) for name in _NUMBERS}
    given = {name: value for name, value in given.items() if value is not None}
    if arguments.allow_scheme and not arguments.untrusted:
        raise argparse.ArgumentError(None, "argument --allow-scheme: expected --untrusted too")
    if not arguments.untrusted and not arguments.only_host and not given:
        return None
    policy = af.Policy.untrusted() if arguments.untrusted else af.Policy.trusted()
    if arguments.allow_scheme:
        given["schemes"] = {*(policy.schemes or ()), *arguments.allow_scheme}
    if arguments.only_host:
        given["hosts"] = arguments.only_host
    try:
        return replace(policy, **given)
    except ValueError as exc:
        raise argparse.ArgumentError(None, str(exc)) from None
