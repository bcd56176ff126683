"""What the command line says about wrong words, its statuses, and the times that it reads."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from asyncframes.cli import _parser, main
from asyncframes.cli._arguments.parser import EXIT_STATUS
from asyncframes.cli._arguments.values import seconds, time_range
from tests.support.streams.clips import clip_bytes

COMMANDS = [*(_parser().commands or pytest.fail("there are no commands")).choices]


def usage_error(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[str, str]:
    """Return the usage and the error, each of which must be one line."""
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    usage, error = err.splitlines()
    return usage, error


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("extract a.mp4 out --indizes 3", "unknown option --indizes: did you mean --indices?"),
        ("extract a.mp4 --num_frames=3", "unknown option --num_frames: did you mean --num-frames?"),
        (
            "extract a.mp4 out --tolerance-seconds 1",
            "unknown option --tolerance-seconds: did you mean --tolerance?",
        ),
        ("extract a.mp4 out --zzz", "unknown option --zzz: see asyncframes extract --help"),
        ("extract a.mp4 out -x", "unknown option '-x'"),
        ("extract a.mp4 out third", "unexpected argument 'third'"),
        ("extract a.mp4", "the following arguments are required: DIR"),
    ],
)
def test_a_wrong_word_is_explained_by_its_command(
    capsys: pytest.CaptureFixture[str], words: str, error: str
) -> None:
    """An unknown option suggests the nearest, and the usage is the command's own and short."""
    assert usage_error(capsys, *words.split()) == (
        "usage: asyncframes extract [OPTION ...] SOURCE DIR",
        f"asyncframes extract: error: {error}",
    )


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["extrakt", "a.mp4"], "unknown command 'extrakt': did you mean extract?"),
        (["film.mp4"], "unknown command 'film.mp4': see asyncframes --help"),
        (["--versoin"], "unknown option --versoin: did you mean --version?"),
    ],
)
def test_a_wrong_command_is_explained(
    capsys: pytest.CaptureFixture[str], words: list[str], error: str
) -> None:
    """With the nearest command, and the program's usage."""
    usage, said = usage_error(capsys, *words)
    assert usage == "usage: asyncframes [-h] [--version] COMMAND ..."
    assert said == f"asyncframes: error: {error}"


def test_a_long_wrong_word_is_not_quoted_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither as an option nor as a command."""
    for words in (["info", "a.mp4", "--x" + "y" * 5000], ["z" * 5000]):
        _, error = usage_error(capsys, *words)
        assert len(error) < 200


def test_words_that_only_look_like_options_are_values(capsys: pytest.CaptureFixture[str]) -> None:
    """After two dashes, and with spaces in them, as argparse has it."""
    for name in ("--no-such file.mp4", "--no-such.mp4"):
        assert main(["info", "--", name]) == 1
        assert name in capsys.readouterr().err
    assert main(["info", "--no-such file.mp4"]) == 1
    assert "--no-such file.mp4" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_the_usage_names_the_arguments_of_the_command(command: str) -> None:
    """The short usage is written by hand: it has the names of all positional arguments, in order."""
    parser = _parser()
    assert parser.commands is not None
    chosen = parser.commands.choices[command]
    names = [action.metavar for action in chosen._actions if not action.option_strings]
    usage = chosen.format_usage().partition("[OPTION ...]")[2]
    assert [*dict.fromkeys(re.findall(r"[A-Z]+", usage))] == names


def test_help_and_docs_list_every_status(capsys: pytest.CaptureFixture[str]) -> None:
    """The help of the program and of its commands ends with them, and the page has the same."""
    for words in (["--help"], ["extract", "--help"]):
        with pytest.raises(SystemExit):
            main(words)
        assert capsys.readouterr().out.endswith(f"{EXIT_STATUS}\n")
    page = Path(__file__).parents[2] / "docs" / "cli.md"
    if not page.is_file():
        pytest.skip("runs from a checkout")
    text = page.read_text().replace("`", "")
    for line in EXIT_STATUS.splitlines()[1:]:
        status, meaning = line.split(maxsplit=1)
        assert f"| {status} | {meaning} |" in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("00:02:00.5", [120.5]),
        ("2:00.5,3", [120.5, 3.0]),
        ("100:00:01", [360001.0]),
        ("0.5,12,90", [0.5, 12.0, 90.0]),
        ("-.5", [-0.5]),
    ],
)
def test_times_may_be_written_as_a_clock_shows_them(text: str, expected: list[float]) -> None:
    """As info prints them, with or without hours and decimals."""
    assert seconds(text) == expected


def test_a_range_of_clock_times() -> None:
    """Either end may be missing, and each in its own way."""
    assert time_range("00:00:01-00:02:00.5") == (1.0, 120.5)
    assert time_range("1:05-") == (65.0, None)
    assert time_range("-1:05.25") == (None, 65.25)
    assert time_range("2-00:00:05.5") == (2.0, 5.5)


@pytest.mark.parametrize("text", ["1:60", "00:61:00", "1:2:3:4", "1:", ":5", "1:5x", "1:-5", "1e3:00"])
def test_what_no_clock_shows_is_refused(capsys: pytest.CaptureFixture[str], text: str) -> None:
    """With an example of what is expected."""
    _, error = usage_error(capsys, "extract", "a.mp4", "out", f"--times={text}")
    assert f"expected times such as 0.5,90,00:02:00.5, not '{text}'" in error


def test_what_info_prints_names_the_last_frame(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A range that begins one frame before the duration of info has one frame."""
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(clip_bytes(frames=50))
    assert main(["info", str(clip)]) == 0
    duration = re.search(r"duration +(\S+) ", capsys.readouterr().out)
    assert duration is not None
    assert duration[1] == "00:00:02.000"
    begin = f"00:00:{np.round(2 - 1 / 25, 3):06.3f}"
    assert main(["extract", str(clip), str(tmp_path / "out"), "--time-range", f"{begin}-{duration[1]}"]) == 0
    assert [path.name for path in (tmp_path / "out").glob("*.png")] == ["frame_000049.png"]
