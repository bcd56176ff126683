"""Describe the command line from its parser: ``.. shell-reference::`` becomes a section for each command."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from asyncframes.cli import _parser
from asyncframes.cli._arguments.parser import EXIT_STATUS


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.add_directive("shell-reference", ShellReference)
    return {"version": "1", "parallel_read_safe": True}


class ShellReference(SphinxDirective):
    """The commands, their options and the examples that their own help shows."""

    def run(self) -> list[nodes.Node]:
        """Return a section for each command, in the order of ``asyncframes --help``, and the exit status."""
        commands = _parser().commands
        assert commands is not None  # noqa: S101 - the program has commands
        sections = [self._section(name, command) for name, command in commands.choices.items()]
        title, _, meanings = EXIT_STATUS.partition(":\n")
        ending = nodes.section("", nodes.title(text=_capitalised(title)), ids=["exit-status"])
        ending += nodes.literal_block(text=dedent(meanings))
        return [*sections, ending]

    def _section(self, name: str, command: argparse.ArgumentParser) -> nodes.section:
        section = nodes.section("", nodes.title(text=name), ids=[name])
        section += nodes.paragraph(text=command.description or "")
        section += nodes.literal_block(text=command.format_usage().removeprefix("usage: ").strip())
        for group in command._action_groups:
            actions = [action for action in group._group_actions if action.help != argparse.SUPPRESS]
            if actions:
                section += nodes.rubric(text=_capitalised(group.title or "options"))
                section += _options(command, actions)
        # What follows the examples is the same for all commands.
        examples = (command.epilog or "").partition("\n\n")[0].removeprefix("examples:\n")
        section += nodes.rubric(text="Examples")
        section += nodes.literal_block(text="\n".join(line.strip() for line in examples.splitlines()))
        return section


def _options(command: argparse.ArgumentParser, actions: list[argparse.Action]) -> nodes.definition_list:
    listed = nodes.definition_list()
    for action in actions:
        terms: list[nodes.Node] = []
        for words in _spelled(action):
            terms += [nodes.Text(", "), nodes.literal(text=words)] if terms else [nodes.literal(text=words)]
        text = command._get_formatter()._expand_help(action).replace(str(Path.home()), "~")
        meaning = nodes.definition("", nodes.paragraph(text=_capitalised(text) + "."))
        listed += nodes.definition_list_item("", nodes.term("", "", *terms), meaning)
    return listed


def _spelled(action: argparse.Action) -> Iterator[str]:
    value = action.metavar or ("{" + ",".join(map(str, action.choices)) + "}" if action.choices else "")
    if isinstance(value, tuple):
        value = " ".join(value)
    if not action.option_strings:
        yield value or action.dest
    for option in action.option_strings:
        yield f"{option} {value}".strip() if action.nargs != 0 else option


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]
