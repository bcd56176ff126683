"""``asyncframes doctor``: checks an installation, and prints what a report of a fault needs."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Iterable, Mapping
from textwrap import wrap
from typing import Any

from asyncframes.cli._arguments.parser import Commands, new_command
from asyncframes.cli.doctor import _checks, _facts
from asyncframes.errors import AsyncFramesError

EXAMPLES = """\
  asyncframes doctor
  asyncframes doctor --json > doctor.json    (to attach to a report of a fault)"""

_WIDTH = 12


def add_parser(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = new_command(
        commands,
        "doctor",
        "",
        help_text="check this installation: versions, decoders, isolation, speed and exact frames",
        examples=EXAMPLES,
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


async def run(arguments: argparse.Namespace) -> None:
    """Print the facts and the checks.

    Raises
    ------
    AsyncFramesError
        A check failed.
    """
    facts = await asyncio.to_thread(_facts.facts)
    found = await _checks.examine()
    report = {"ok": not found.failed, **facts, **found.as_dict()}
    print(json.dumps(report, indent=2) if arguments.json else "\n".join(_lines(report)))
    if found.failed:
        names = ", ".join(found.failed)
        raise AsyncFramesError(f"{len(found.failed)} of {len(found.checks)} checks failed: {names}")


def _lines(report: Mapping[str, Any]) -> Iterable[str]:
    for name, texts in _sections(report).items():
        yield f"{name:<{_WIDTH}}" + f"\n{'':<{_WIDTH}}".join(texts)


def _sections(report: Mapping[str, Any]) -> dict[str, list[str]]:
    versions, isolation, speed = report["versions"], report["isolation"], report["speed"]
    return {
        "versions": _wrapped(versions),
        "extras": [_extra(name, packages) for name, packages in report["extras"].items()],
        "decoders": [f"{name}: {', '.join(found) or 'none'}" for name, found in report["decoders"].items()],
        "limits": [f"{name}: {_amount(value)}" for name, value in report["limits"].items()],
        "CPUs": [str(report["cpus"])],
        "isolation": [_measures(isolation["measures"]), *isolation["notes"]],
        "speed": [_speed(speed) if speed else "unknown"],
        "checks": [_check(check) for check in report["checks"]],
    }


def _wrapped(versions: Mapping[str, str]) -> list[str]:
    return wrap(", ".join(f"{name} {version}" for name, version in versions.items()), 100 - _WIDTH)


def _extra(name: str, packages: Mapping[str, str | None]) -> str:
    return f"{name}: " + ", ".join(
        f"{package} {version or '(missing)'}" for package, version in packages.items()
    )


def _measures(measures: Iterable[str]) -> str:
    others = ", ".join(name for name in measures if name != "process")
    return f"a process: {others or 'nothing confines it'}" if measures else "none"


def _amount(value: int | None) -> str:
    return "none" if value is None else f"{value:,}"


def _speed(speed: Mapping[str, Any]) -> str:
    return (
        f"{speed['frames']} frames of {speed['width']}x{speed['height']} {speed['codec']} "
        f"in {speed['seconds']:.2f} s: {speed['frames_per_second']:,.0f} frames per second"
    )


def _check(check: Mapping[str, Any]) -> str:
    return f"{'ok' if check['ok'] else 'FAILED'}: {check['name']}: {check['detail']}"
