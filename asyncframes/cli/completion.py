"""``asyncframes completion``: prints a script with which a shell completes commands and options."""

from __future__ import annotations

import argparse
from typing import Any

from asyncframes.cli._arguments.parser import Commands, new_command
from asyncframes.errors import MissingExtraError

EXAMPLES = """\
  asyncframes completion bash > ~/.local/share/bash-completion/completions/asyncframes
  asyncframes completion zsh > ~/.zfunc/_asyncframes    (with fpath+=~/.zfunc before compinit)
  asyncframes completion fish > ~/.config/fish/completions/asyncframes.fish"""

SHELLS = ("bash", "zsh", "fish")

_FILES = {"source", "videos", "sources", "out", "vtt", "output"}
_DIRECTORIES = {"directory", "table_cache"}


def add_parser(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = new_command(
        commands,
        "completion",
        "SHELL",
        help_text="print a script that completes commands, options and paths in a shell",
        examples=EXAMPLES,
    )
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help="bash, zsh or fish; needs shtab")
    parser.set_defaults(run=run)


async def run(arguments: argparse.Namespace) -> None:
    """Print the script.

    Raises
    ------
    MissingExtraError
        shtab is not installed.
    """
    try:
        import shtab
    except ImportError as exc:
        raise MissingExtraError(
            "asyncframes completion needs shtab: pip install 'asyncframes-video[completion]'",
            extra="completion",
        ) from exc
    for command in {*arguments.program.commands.choices.values()}:
        _complete_paths(command, shtab)
    print(shtab.complete(arguments.program, shell=arguments.shell))


def _complete_paths(command: argparse.ArgumentParser, shtab: Any) -> None:
    for action in command._actions:
        if action.dest in _FILES | _DIRECTORIES and action.nargs != 0:
            kind = shtab.DIRECTORY if action.dest in _DIRECTORIES else shtab.FILE
            setattr(action, "complete", kind)  # noqa: B010 - shtab looks for it, types do not know it
