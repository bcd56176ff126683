"""What the command line prints: options instead of Python's names, and as much as was asked for."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from asyncframes.cli import _outputs, _parser, main
from asyncframes.cli._arguments.flags import flags_of, with_flags
from asyncframes.errors import FrameExistsError
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
    assert with_flags("columns=0, ext=0", flags("sheet")) == "--columns 0, ext=0"


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


@pytest.mark.parametrize(("command", "names"), [("sheet", ["a.png"]), ("sprites", ["a.jpg", "a.vtt"])])
def test_existing_files_are_treated_as_extract_treats_them(
    clip: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, names: list[str]
) -> None:
    """An error by default; --overwrite keeps or replaces them."""
    paths = [tmp_path / name for name in names]
    words = [command, clip, *map(str, paths)]
    assert main(words) == 0
    for path in paths:
        path.write_bytes(b"mine")
    assert main(words) == 1
    assert (
        f"{paths[0]} already exists; pass --overwrite replace or skip to allow it" in capsys.readouterr().err
    )
    assert main([*words, "--overwrite", "skip"]) == 0
    assert "kept" in capsys.readouterr().out
    assert {path.read_bytes() for path in paths} == {b"mine"}
    paths[-1].unlink()
    assert main([*words, "--overwrite", "replace"]) == 0
    assert b"mine" not in {path.read_bytes() for path in paths}


@pytest.mark.parametrize("kept", [0, 1])
def test_a_sprite_sheet_goes_with_its_times(clip: str, tmp_path: Path, kept: int) -> None:
    """If one of the two files is missing, skip writes both: they name each other."""
    paths = [tmp_path / "a.jpg", tmp_path / "a.vtt"]
    paths[kept].write_bytes(b"mine")
    assert main(["sprites", clip, *map(str, paths), "--overwrite", "skip"]) == 0
    assert b"mine" not in {path.read_bytes() for path in paths}


def test_a_file_that_appears_meanwhile_is_an_error(clip: str, tmp_path: Path) -> None:
    """The check before the work is repeated when the file gets its name."""
    path = tmp_path / "a.png"
    path.write_bytes(b"mine")
    with pytest.raises(FrameExistsError, match="already exists"):
        _outputs.write(path, b"other", "error")
    assert path.read_bytes() == b"mine"
    assert [one.name for one in tmp_path.glob("[!c]*")] == ["a.png"]


@pytest.mark.parametrize("fault", ["is a directory", "has too long a name", "cannot be renamed"])
@pytest.mark.parametrize("command", ["extract", "sheet", "sprites", "table", "table-json"])
def test_no_error_names_a_temporary_file(
    clip: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    fault: str,
) -> None:
    """It names the file or the directory that was asked for, in one line, and leaves nothing."""
    out = tmp_path / "out"
    out.mkdir()
    template = f"{'n' * 300 if fault == 'has too long a name' else 'frame_'}{{index:06d}}.png"
    path = out / template.format(index=0)
    words = {
        "extract": ["extract", clip, str(out), "--end", "0", "--template", template],
        "sheet": ["sheet", clip, str(path)],
        "sprites": ["sprites", clip, str(path), str(tmp_path / "a.vtt")],
        "table": ["table", clip, "-o", str(path), "--no-table-cache"],
        "table-json": ["table", clip, "-o", str(path), "--format", "json", "--no-table-cache"],
    }[command]
    if fault == "is a directory":
        path.mkdir()
    if fault == "cannot be renamed":

        def refuse(old: object, new: object, **_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device", str(old), None, str(new))

        monkeypatch.setattr(os, "link", refuse)
        monkeypatch.setattr(Path, "replace", refuse)
    assert main(words) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert str(out) in error
    assert ".asyncframes-" not in error
    assert "Errno" not in error
    assert not [*out.glob(".asyncframes-*")]
