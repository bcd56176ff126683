"""What the command line prints: options instead of Python's names, and as much as was asked for."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from asyncframes.cli import _parser, main
from asyncframes.cli._arguments.flags import flags_of, with_flags
from tests.support.servers.web import retries_at_once
from tests.support.streams.clips import clip_bytes


@pytest.fixture
def clip(tmp_path: Path) -> str:
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip_bytes(frames=12))
    return str(path)


def flags(command: str = "extract") -> dict[str, str]:
    commands = _parser().commands
    assert commands is not None
    return flags_of(commands.choices[command])


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("step=0: expected 1 or more", "--step 0: expected 1 or more"),
        ("end=-3 is before start=5", "--end -3 is before --start 5"),
        (
            "tolerance_seconds goes with times, time_range and fps: none of them is given",
            "--tolerance goes with --times, --time-range and --fps: none of them is given",
        ),
        (
            "start and end bound a range; indices already names each frame",
            "--start and --end bound a range; --indices already names each frame",
        ),
        (
            "max_frames goes with fps, not with keyframes",
            "--max-frames goes with --fps, not with --keyframes",
        ),
        ("crop=(0, 0, 97, 64) is outside", "--crop 0,0,97,64 is outside"),
        (
            'fit="cover" with resize=None: expected resize=(width, height)',
            "--fit cover without --resize: expected --resize WIDTHxHEIGHT",
        ),
        ("max_side=4 with resize=(4, None)", "--max-side 4 with --resize 4x"),
        ("pass overwrite='replace' or 'skip' to allow it", "pass --overwrite replace or skip to allow it"),
        ("pass deinterlace=False", "omit --deinterlace"),
        ("autorotate=False", "without --autorotate"),
        ("tone_map=True converts to RGB", "--tone-map converts to RGB"),
        ("pass color_matrix= to use another", "pass --color-matrix to use another"),
        ("more than max_read_bytes=1,000 bytes", "more than --max-read-bytes 1,000 bytes"),
        (
            "pass isolation='none', or dataclasses.replace(policy, isolation='none'), if threads are good",
            "pass --isolation none, if threads are good",
        ),
        ("hosts: 'http://a' is invalid", "--only-host: 'http://a' is invalid"),
        ("stream_index=4 is not video", "--stream 4 is not video"),
    ],
)
def test_messages_name_options(message: str, expected: str) -> None:
    """With their values as the command line takes them."""
    assert with_flags(message, flags()) == expected


@pytest.mark.parametrize(
    "message",
    [
        "block_size=0: expected 1 or more",
        "times and ranges end at the start; the step is fps",
        "https://example.org/end=3.mp4: not found",
        "max-pixels=3 --end=2",
    ],
)
def test_other_words_stay(message: str) -> None:
    """Names that no option has, words of English, and parts of addresses."""
    assert with_flags(message, flags()) == message


def test_names_of_options_depend_on_the_command() -> None:
    """A name that is an option of another command only stays."""
    assert with_flags("columns=0, step=0", flags("sheet")) == "--columns 0, step=0"


def test_a_name_of_a_file_stays(clip: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Even one that looks like an argument."""
    assert main(["info", "end=3.mp4"]) == 1
    assert "[end=3.mp4]" in capsys.readouterr().err
    (tmp_path / "max_frames=3").mkdir()
    extract = ["extract", clip, str(tmp_path / "max_frames=3"), "--end", "0", "-q"]
    assert (main(extract), main(extract)) == (0, 1)
    error = capsys.readouterr().err
    assert "/max_frames=3/frame_000000.png already exists; pass --overwrite replace or skip" in error


def test_quiet_prints_results_and_errors_only(
    clip: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No line that says what was done, and no bar; but facts that were asked for, and errors."""
    for command in (
        ["extract", clip, str(tmp_path / "out"), "--end", "1"],
        ["sheet", clip, str(tmp_path / "sheet.png")],
        ["sprites", clip, str(tmp_path / "a.jpg"), str(tmp_path / "a.vtt")],
        ["demo", str(tmp_path / "demo")],
    ):
        assert main([*command, "--quiet"]) == 0
        assert capsys.readouterr() == ("", "")
    assert main(["info", "-q", clip]) == 0
    assert "96x64" in capsys.readouterr().out
    assert main(["info", "-q", "nowhere.mp4"]) == 1
    assert "nowhere.mp4" in capsys.readouterr().err


def test_quiet_and_verbose_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    """They contradict each other."""
    with pytest.raises(SystemExit, match="2"):
        main(["info", "a.mp4", "--quiet", "--verbose"])
    assert "not allowed with argument" in capsys.readouterr().err


@pytest.fixture
def fresh_log(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Log as a process that has just started: nothing has been set up."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    yield
    logging.getLogger("asyncframes").setLevel(logging.NOTSET)


def errors_of(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> str:
    """Run a command and return what it prints on stderr."""
    logging.getLogger().handlers.clear()
    assert main(words) == status
    return capsys.readouterr().err


@pytest.mark.usefixtures("fresh_log")
def test_verbose_prints_the_log(clip: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Twice for everything; warnings are printed without it, but not with --quiet."""
    folder = tmp_path / "tables"
    cached = ("info", clip, "--count", "--table-cache", str(folder))
    assert errors_of(capsys, *cached) == ""
    [stored] = folder.rglob("*.table")
    for options, expected in ((["-vv"], "asyncframes: rebuilding the frame table"), (["-v"], ""), ([], "")):
        stored.write_bytes(b"damaged")
        said = errors_of(capsys, *cached, *options)
        assert said.startswith(expected)
        assert bool(said) == bool(expected)
    unusable = ("info", clip, "--count", "--table-cache", clip)
    assert "is not usable" in errors_of(capsys, *unusable)
    assert errors_of(capsys, *unusable, "-q") == ""


@pytest.mark.usefixtures("fresh_log")
def test_verbose_prints_failed_attempts(capsys: pytest.CaptureFixture[str]) -> None:
    """Which are otherwise left to the final error."""
    command = ("info", "http://127.0.0.1:9/clip.mp4?token=secret")
    with retries_at_once():
        silent = errors_of(capsys, *command, status=1)
        verbose = errors_of(capsys, *command, "--verbose", status=1)
    assert "attempt 1 of" not in silent
    assert "attempt 1 of" in verbose
    assert "secret" not in verbose


def test_nothing_is_coloured(
    clip: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With NO_COLOR, nothing colours text, not even a later Python's help."""
    monkeypatch.setenv("NO_COLOR", "1")
    for words in (["--help"], ["extract", "--help"], ["extract"]):
        with pytest.raises(SystemExit):
            main(words)
    assert main(["extract", clip, str(tmp_path / "out"), "--progress"]) == 0
    out, err = capsys.readouterr()
    assert "12/12" in err
    assert "\x1b[3" not in out + err
