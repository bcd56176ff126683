"""Options that several commands share, and functions that parse their values."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

from platformdirs import user_cache_path

from asyncframes._model.quoting import LONGEST_OPTION, quoted_option, shortened

# argparse quotes a wrong value whole.
_LONG_WORD = re.compile(rf"\S{{{LONGEST_OPTION + 1},}}")

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


class Parser(argparse.ArgumentParser):
    """A parser whose errors show long values by their ends."""

    def error(self, message: str) -> NoReturn:
        """Print the usage and the message, and exit with status 2."""
        super().error(_LONG_WORD.sub(lambda word: shortened(word[0], longest=LONGEST_OPTION), message))


def new_command(commands: Commands, name: str, *, help_text: str, examples: str) -> argparse.ArgumentParser:
    """Add a command whose help ends with examples."""
    parser = commands.add_parser(
        name,
        help=help_text,
        description=help_text[0].upper() + help_text[1:] + ".",
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(parser=parser, interrupted="interrupted")
    return parser


def add_source_options(parser: argparse.ArgumentParser) -> None:
    """Add SOURCE and the options for opening it."""
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="a path, a URL, - for standard input, or supervisely://VIDEO_ID (SERVER_ADDRESS, API_TOKEN)",
    )
    add_opening_options(parser)


def add_opening_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for opening sources."""
    group = parser.add_argument_group("source")
    group.add_argument(
        "--header",
        type=header,
        action="append",
        default=[],
        metavar="'NAME: VALUE'",
        help="send this header with each HTTP request; may be repeated",
    )
    group.add_argument(
        "--timeout",
        type=positive(float),
        default=60.0,
        metavar="SECONDS",
        help="give up after this long without a byte (default: 60)",
    )
    group.add_argument(
        "--stream", type=int, metavar="N", help="index of the stream (default: the first with video)"
    )
    group.add_argument("--threads", type=positive(int), metavar="N", help="decoder threads")
    folder = user_cache_path("asyncframes") / "tables"
    group.add_argument(
        "--table-cache",
        type=Path,
        default=folder,
        metavar="DIR",
        help=f"folder that stores frame tables, up to 256 MiB (default: {folder})".replace("%", "%%"),
    )
    group.add_argument(
        "--no-table-cache",
        action="store_const",
        const=None,
        dest="table_cache",
        help="do not store frame tables",
    )


def add_range_options(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add --start and --end."""
    group = parser.add_argument_group("which frames")
    group.add_argument(
        "--start", type=int, metavar="I", help="first frame, from 0; negative counts from the end"
    )
    group.add_argument(
        "--end", type=int, metavar="I", help="last frame, inclusive; negative counts from the end"
    )
    return group


def add_progress_option(parser: argparse.ArgumentParser) -> None:
    """Add --progress and --no-progress."""
    parser.add_argument(
        "--progress",
        action=argparse.BooleanOptionalAction,
        help="show a progress bar (default: when stderr is a terminal)",
    )


def header(text: str) -> tuple[str, str]:
    """Parse ``Name: value``. Errors never quote the value, which may be a secret."""
    name, colon, value = text.partition(":")
    if not colon or not re.fullmatch(r"[!#$%&'*+.^_`|~\w-]+", name, re.ASCII):
        raise argparse.ArgumentTypeError("expected 'Name: value'")
    return name, value.strip()


def integers(text: str) -> list[int]:
    """Parse comma-separated integers."""
    return _several(int, text, "integers such as 0,25,-1")


def seconds(text: str) -> list[float]:
    """Parse comma-separated seconds."""
    return _several(float, text, "seconds such as 0.5,12,90")


def time_range(text: str) -> tuple[float | None, float | None]:
    """Parse two times separated by a dash. Either may be missing."""
    begin, dash, stop = text.partition("-")
    try:
        if not dash:
            raise ValueError
        return float(begin) if begin else None, float(stop) if stop else None
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected seconds such as 2-5.5, 2- or -5.5, not {quoted_option(text)}"
        ) from None


def rate(text: str) -> Fraction:
    """Parse frames per second, which may be a fraction."""
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise argparse.ArgumentTypeError(
            f"expected a rate such as 2, 0.5 or 30000/1001, not {quoted_option(text)}"
        ) from None


def positive(kind: type[int] | type[float]) -> Any:
    """Return a function that parses numbers above zero."""

    def read(text: str) -> int | float:
        try:
            value = kind(text)
        except ValueError:
            value = kind(0)
        if not 0 < value < float("inf"):
            raise argparse.ArgumentTypeError(f"expected a number above 0, not {quoted_option(text)}")
        return value

    return read


def join_negatives(arguments: Iterable[str]) -> list[str]:
    """Turn ``--indices -1,5`` into ``--indices=-1,5``: argparse would take ``-1,5`` for an option."""
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] in {"--indices", "--times"} and re.match(r"-[\d.]", argument):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def _several(kind: Any, text: str, expected: str) -> list[Any]:
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected {expected}, not {quoted_option(text)}") from None
