"""``asyncframes table``: the rows of a frame table as CSV, JSON and Parquet."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

import asyncframes as af
from asyncframes.cli import main
from asyncframes.cli.table import COLUMNS
from tests.support.streams.clips import clip_bytes

FRAMES, GOP = 48, 12


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("table") / "clip.mp4"
    path.write_bytes(clip_bytes(frames=FRAMES, gop=GOP))
    return str(path)


@pytest.fixture(scope="module")
def timeless(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A raw stream, whose packets have no timestamps."""
    path = tmp_path_factory.mktemp("table") / "clip.h264"
    path.write_bytes(clip_bytes(frames=FRAMES, gop=GOP, container="h264"))
    return str(path)


def rows_of(path: str) -> list[dict[str, Any]]:
    """Take the rows from the frames themselves, all but the durations."""
    with af.sync.open_video(path) as video:
        durations = video.frame_table().duration_seconds.tolist()
        return [
            dict(
                zip(
                    COLUMNS,
                    (frame.index, frame.pts, frame.pts_seconds, duration, frame.is_keyframe),
                    strict=True,
                )
            )
            for frame, duration in zip(video.frames(), durations, strict=True)
        ]


def read_csv(text: str) -> list[dict[str, Any]]:
    rows = list(csv.DictReader(io.StringIO(text)))
    return [{name: json.loads(value) if value else None for name, value in row.items()} for row in rows]


@pytest.mark.parametrize(
    ("options", "read"), [([], read_csv), (["--format", "json"], json.loads)], ids=["csv", "json"]
)
def test_rows_are_those_of_the_frames(
    clip: str, timeless: str, capsys: pytest.CaptureFixture[str], options: list[str], read: Any
) -> None:
    """Index, pts, seconds and keyframe flag are those of each decoded frame; what is unknown is left out."""
    for path in (clip, timeless):
        assert main(["table", path, "--no-table-cache", *options]) == 0
        rows = read(capsys.readouterr().out)
        assert [*rows[0]] == [*COLUMNS]
        assert rows == rows_of(path)
    assert {row["pts_seconds"] for row in rows} == {None}


def test_the_name_of_the_file_says_the_format(
    clip: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The ending decides unless --format does; the file replaces another, and nothing else is left."""
    expected = rows_of(clip)
    outputs: dict[str, tuple[Any, list[str]]] = {
        "a.json": (json.loads, []),
        "b.CSV": (read_csv, []),
        "c.txt": (read_csv, []),
    }
    for name, (read, options) in {**outputs, "d.csv": (json.loads, ["--format", "json"])}.items():
        (tmp_path / name).write_text("something else")
        assert main(["table", clip, "--no-table-cache", "-o", str(tmp_path / name), *options]) == 0
        assert read((tmp_path / name).read_text()) == expected
    assert {path.name for path in tmp_path.iterdir()} == {*outputs, "d.csv"}
    assert capsys.readouterr().out == ""


def test_a_file_that_cannot_be_written_is_one_line(
    clip: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error names the file that was asked for, not a temporary one."""
    assert main(["table", clip, "--no-table-cache", "-o", str(tmp_path / "nowhere" / "a.csv")]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "nowhere" in error
    assert ".asyncframes-" not in error


def test_parquet(clip: str, timeless: str, tmp_path: Path) -> None:
    """The same rows with types, and nulls for what is unknown."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed (extra parquet)")
    for path in (clip, timeless):
        assert main(["table", path, "--no-table-cache", "-o", str(tmp_path / "a.parquet")]) == 0
        found = parquet.read_table(tmp_path / "a.parquet")
        assert [str(kind) for kind in found.schema.types] == ["int64", "int64", "double", "double", "bool"]
        assert found.to_pylist() == rows_of(path)


def test_parquet_goes_to_a_pipe(clip: str, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """Without a file the bytes go to stdout."""
    pytest.importorskip("pyarrow", reason="pyarrow is not installed (extra parquet)")
    assert main(["table", clip, "--no-table-cache", "--format", "parquet"]) == 0
    out = capfdbinary.readouterr().out
    assert (out[:4], out[-4:]) == (b"PAR1", b"PAR1")


def test_parquet_without_pyarrow_says_what_to_install(
    clip: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing package is one line that names it, and no file is begun."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert main(["table", clip, "-o", str(tmp_path / "a.parquet")]) == 1
    assert "pip install 'asyncframes-video[parquet]'" in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_parquet_is_not_printed_to_a_terminal(
    clip: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Binary data on a terminal is wrong usage."""
    leader, terminal = os.openpty()
    with os.fdopen(leader), os.fdopen(terminal, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        with pytest.raises(SystemExit, match="2"):
            main(["table", clip, "--format", "parquet"])
    assert "-o" in capsys.readouterr().err
