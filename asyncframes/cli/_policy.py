"""Options that limit what a source may cost and reach."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any, get_args

import asyncframes as af
from asyncframes._policy.policy import MEASURES, Isolation
from asyncframes.cli._arguments import values
from asyncframes.cli._arguments.flags import flags_of, with_flags

_NUMBERS: dict[str, tuple[type[int] | type[float], str]] = {
    "max_pixels": (int, "refuse pictures of more than N pixels"),
    "max_source_bytes": (int, "refuse sources larger than N bytes"),
    "max_read_bytes": (int, "fetch at most N bytes"),
    "max_output_frames": (int, "decode at most N frames into images"),
    "max_output_bytes": (int, "decode at most N bytes of images"),
    "deadline_seconds": (float, "stop after N seconds, for opening and again for the frames"),
    "cpu_seconds": (float, "the same in seconds of CPU time"),
}


def add_policy_options(parser: argparse.ArgumentParser) -> None:
    """Add --untrusted and the single limits."""
    group = parser.add_argument_group("limits")
    group.add_argument(
        "--untrusted",
        action="store_true",
        help="do not trust the source (Policy.untrusted): allow only https, http and data: URLs, public "
        "hosts, and formats that browsers and phones record; set limits; decode in a locked process",
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
        help="connect only to this host: a name, *.example.com, 10.1.0.0/16 or public, each with or without "
        ":PORT; may be repeated",
    )
    group.add_argument(
        "--isolation",
        choices=get_args(Isolation),
        help="decode in threads (none), or in a separate locked process that can be killed "
        "(default: none; with --untrusted: process)",
    )
    group.add_argument(
        "--require-isolation",
        action="append",
        default=[],
        choices=sorted(MEASURES),
        help="fail if the system cannot confine the process by this measure; may be repeated",
    )
    for name, (kind, what) in _NUMBERS.items():
        group.add_argument(f"--{name.replace('_', '-')}", type=values.positive(kind), metavar="N", help=what)


def policy_of(arguments: argparse.Namespace) -> af.Policy | None:
    """Return the policy that the options ask for, ``None`` if they ask for none.

    Raises
    ------
    argparse.ArgumentError
        An option is invalid, or needs another one.
    """
    given: dict[str, Any] = {name: getattr(arguments, name) for name in _NUMBERS}
    given["isolation"] = arguments.isolation
    given = {name: value for name, value in given.items() if value is not None}
    _check_combination(arguments)
    if not arguments.untrusted and not arguments.only_host and not given:
        return None
    policy = af.Policy.untrusted() if arguments.untrusted else af.Policy.trusted()
    if arguments.allow_scheme:
        given["schemes"] = {*(policy.schemes or ()), *arguments.allow_scheme}
    if arguments.only_host:
        given["hosts"] = arguments.only_host
    if arguments.require_isolation:
        given["require_isolation"] = arguments.require_isolation
    try:
        return replace(policy, **given)
    except ValueError as exc:
        text = with_flags(str(exc), flags_of(arguments.parser))
        raise argparse.ArgumentError(None, f"argument {text}") from None


def _check_combination(arguments: argparse.Namespace) -> None:
    if arguments.allow_scheme and not arguments.untrusted:
        raise argparse.ArgumentError(None, "argument --allow-scheme: expected --untrusted too")
    is_isolated = arguments.isolation == "process" or (arguments.untrusted and arguments.isolation is None)
    if arguments.require_isolation and not is_isolated:
        raise argparse.ArgumentError(
            None, "argument --require-isolation: expected --untrusted or --isolation process too"
        )
