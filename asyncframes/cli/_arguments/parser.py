"""A parser with short usages, which suggests what a wrong word may mean."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, NoReturn, TypeAlias

from asyncframes._model.quoting import LONGEST_OPTION, quoted_option, shortened

Commands: TypeAlias = "argparse._SubParsersAction[Parser]"

EXIT_STATUS = """\
exit status:
  0    success
  1    an error of the source, the media or the disk; doctor: a check failed
  2    wrong usage
  130  Ctrl-C
  141  the reader of the output has closed it
  143  SIGTERM"""

# argparse quotes a wrong value whole.
_LONG_WORD = re.compile(rf"\S{{{LONGEST_OPTION + 1},}}")

_MAY_BE_NEGATIVE = {"--start", "--end", "--step", "--indices", "--times", "--time-range", "--tolerance"}


class Parser(argparse.ArgumentParser):
    """A parser of a command, or of the program if it has `commands`.

    Attributes
    ----------
    commands
        The program's commands.
    """

    commands: Commands | None = None

    def parse_known_args(
        self, args: Iterable[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """Parse the arguments, but refuse unknown options and commands first: they explain other errors."""
        given = [*(sys.argv[1:] if args is None else args)]
        for word in given:
            if word == "--" or (self.commands is not None and not word.startswith("-")):
                self._refuse_unknown_command(word)
                break
            self._refuse_unknown_option(word)
        return super().parse_known_args(given, namespace)

    def error(self, message: str) -> NoReturn:
        """Print the usage and the message with long values cut, and exit with status 2."""
        super().error(_LONG_WORD.sub(lambda word: shortened(word[0], longest=LONGEST_OPTION), message))

    def _refuse_unknown_option(self, word: str) -> None:
        name = word.partition("=")[0]
        known = self._option_string_actions
        # argparse takes a word with spaces for a value.
        if name.startswith("--") and name not in known and " " not in word:
            self.error(f"unknown option {shortened(name, longest=LONGEST_OPTION)}: {self._hint(name, known)}")

    def _refuse_unknown_command(self, word: str) -> None:
        if self.commands is not None and word != "--" and word not in self.commands.choices:
            hint = self._hint(word, self.commands.choices)
            self.error(f"unknown command {quoted_option(word)}: {hint}")

    def _hint(self, word: str, known: Iterable[str]) -> str:
        names = [*known]
        begins = [name for name in names if len(name) > len("--x") and word.startswith(name)]
        near = begins or get_close_matches(word[: 2 * LONGEST_OPTION], names, n=1)
        return f"did you mean {near[0]}?" if near else f"see {self.prog} --help"


def new_command(
    commands: Commands, name: str, arguments: str, *, help_text: str, examples: str
) -> argparse.ArgumentParser:
    """Add a command with a short usage, whose help ends with examples and the exit status."""
    parser = commands.add_parser(
        name,
        usage=f"%(prog)s [OPTION ...] {arguments}".rstrip(),
        help=help_text,
        description=help_text[0].upper() + help_text[1:] + ".",
        epilog=f"examples:\n{examples}\n\n{EXIT_STATUS}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    loudness = parser.add_mutually_exclusive_group()
    loudness.add_argument("-q", "--quiet", action="store_true", help="print only results and errors")
    loudness.add_argument(
        "-v",
        "--verbose",
        action="count",
        default=0,
        help="print what is logged, such as retries; -vv prints more",
    )
    parser.set_defaults(parser=parser, interrupted="interrupted", gather=None)
    return parser


def join_negatives(arguments: Iterable[str]) -> list[str]:
    """Turn ``--indices -1,5`` into ``--indices=-1,5``: argparse would take ``-1,5`` for an option."""
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] in _MAY_BE_NEGATIVE and re.match(r"-[\d.]", argument):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined
