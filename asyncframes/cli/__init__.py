"""The command line: one module for each command."""

from __future__ import annotations

import argparse
import asyncio
import io
import logging
import os
import signal
import sys
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from asyncframes._model.quoting import quoted_option
from asyncframes._version import __version__
from asyncframes.cli import (
    _common,
    completion,
    demo,
    doctor,
    extract,
    extract_many,
    info,
    serve,
    sheet,
    sprites,
    table,
)
from asyncframes.cli._arguments.parser import EXIT_STATUS, Parser, join_negatives
from asyncframes.errors import AsyncFramesError

__all__ = ["main"]

INTERRUPTED = 130
TERMINATED = 143
PIPE_CLOSED = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv
        Arguments after the program's name; by default those of the process.

    Returns
    -------
    int
        0 after success; 1 after an error of the source, the media or the disk; 130 after
        Ctrl-C; 143 after SIGTERM; 141 if the reader of the output has closed it. Wrong usage
        raises ``SystemExit(2)``.
    """
    _open_closed_streams()
    arguments = _parsed(sys.argv[1:] if argv is None else argv)
    _log_to_stderr(quiet=arguments.quiet, verbose=arguments.verbose)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # File names may contain undecodable bytes.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        # asyncio.run turns the first Ctrl-C into a cancellation, so files and sockets are closed properly.
        asyncio.run(_until_terminated(arguments.run(arguments)))
        sys.stdout.flush()
    except _TerminatedError:
        print(f"asyncframes: {arguments.interrupted}", file=sys.stderr)
        return TERMINATED
    except BrokenPipeError:
        # The reader has closed the output, so the interpreter's final flush would fail with a message.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except argparse.ArgumentError as exc:
        arguments.parser.error(str(exc))
    except KeyboardInterrupt:
        print(f"asyncframes: {arguments.interrupted}", file=sys.stderr)
        return INTERRUPTED
    except (AsyncFramesError, ValueError, OSError) as exc:
        print(f"asyncframes: error: {_common.said(exc, arguments)}", file=sys.stderr)
        return 1
    return 0


def _open_closed_streams() -> None:
    """Open the null device for standard streams that the caller has closed, as some services do."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 - as long as the process


class _TerminatedError(Exception):
    """SIGTERM ended the command."""


async def _until_terminated(command: Coroutine[Any, Any, None]) -> None:
    """Run a command, and cancel it on SIGTERM. A second SIGTERM ends the process at once.

    Raises
    ------
    _TerminatedError
        SIGTERM cancelled the command.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(command)
    is_terminated = False

    def terminate() -> None:
        nonlocal is_terminated
        is_terminated = True
        loop.remove_signal_handler(signal.SIGTERM)
        task.cancel()

    # Not supported on Windows, nor outside the main thread.
    with suppress(NotImplementedError, RuntimeError, ValueError):
        loop.add_signal_handler(signal.SIGTERM, terminate)
    try:
        await task
    except asyncio.CancelledError:
        if is_terminated:
            raise _TerminatedError from None
        raise


def _log_to_stderr(*, quiet: bool, verbose: int) -> None:
    """Print warnings; with -v, also what else the library logs, and failed attempts."""
    handler = logging.StreamHandler()
    if not verbose:
        # The final error gives the reason.
        handler.addFilter(lambda record: not hasattr(record, "wait_seconds"))
    logging.basicConfig(format="asyncframes: %(message)s", level=logging.WARNING, handlers=[handler])
    levels = {0: logging.NOTSET, 1: logging.INFO}
    level = logging.ERROR if quiet else levels.get(verbose, logging.DEBUG)
    logging.getLogger("asyncframes").setLevel(level)


def _parsed(argv: Sequence[str]) -> argparse.Namespace:
    arguments, more = _parser().parse_known_args(join_negatives(argv))
    options = [word for word in more if word.startswith("-")]
    if options:
        arguments.parser.error(f"unknown option {quoted_option(options[0])}")
    if more and arguments.gather is None:
        arguments.parser.error(f"unexpected argument {quoted_option(more[0])}")
    if more:
        # argparse takes no more words for a list of them once an option has come.
        arguments.gather(arguments, more)
    return cast("argparse.Namespace", arguments)


def _parser() -> Parser:
    parser = Parser(
        prog="asyncframes",
        description="Frames of a video by exact index, from any source.",
        epilog=f"asyncframes COMMAND --help shows a command's options and examples.\n\n{EXIT_STATUS}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"asyncframes {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    parser.commands = commands
    parser.set_defaults(program=parser)
    for command in (extract, extract_many, info, table, sheet, sprites, serve, demo, doctor, completion):
        command.add_parser(commands)
    return parser
