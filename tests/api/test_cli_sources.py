"""The command line's videos: the same options in every command, and many videos in one."""

from __future__ import annotations

import asyncio
import io
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from asyncframes.cli import _parsed, _parser, main
from asyncframes.cli.demo import serving
from tests.api.test_cli import DemandingServer
from tests.support.servers.web import RunningServer
from tests.support.streams.clips import clip_bytes

SOURCE_OPTIONS = {
    *("--header", "--skip-signature", "--timeout", "--stream", "--threads", "--table-cache"),
    *("--no-table-cache", "--allow-container", "--max-table-frames"),
    *("--untrusted", "--allow-scheme", "--only-host", "--isolation", "--require-isolation", "--max-pixels"),
}
CLIP = clip_bytes(frames=12)


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """A directory of three videos and another file."""
    for name in ("a.mp4", "more/b.mp4", "more/c [1].mp4", "more/notes.txt"):
        path = tmp_path / "films" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(CLIP)
    return tmp_path / "films"


def extract_many(*words: object) -> int:
    return main(["extract-many", *map(str, words), "--indices", "3"])


def stems(directory: Path) -> list[str]:
    """Return the names of the videos whose frames are in a directory, without their hashes."""
    return sorted(path.parent.name.rpartition("-")[0] for path in directory.glob("*/frame_000003.png"))


@pytest.mark.parametrize("command", ["extract", "extract-many", "info", "table", "sheet", "sprites", "serve"])
def test_every_command_opens_videos_with_the_same_options(command: str) -> None:
    """What opens a video for one command opens it for all."""
    commands = _parser().commands
    assert commands is not None
    assert commands.choices[command]._option_string_actions.keys() >= SOURCE_OPTIONS


def test_videos_come_before_the_directory(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Paths, wherever the options are, each once; the last word is the directory."""
    a, b = films / "a.mp4", films / "more" / "b.mp4"
    assert extract_many(a, b, a, tmp_path / "one") == 0
    assert main(["extract-many", str(a), "--start", "-3", str(b), "--end", "-1", str(tmp_path / "two")]) == 0
    assert stems(tmp_path / "one") == ["a", "b"]
    assert len([*(tmp_path / "two").glob("b-*/frame_0000*.png")]) == 3
    assert capsys.readouterr().out.splitlines() == [
        f"2 frames of 2 videos in {tmp_path / 'one'}",
        f"6 frames of 2 videos in {tmp_path / 'two'}",
    ]


@pytest.mark.parametrize("words", ["a b --port 1 c", "--port 1 a b c", "a --port 1 b c"])
def test_served_videos_come_before_and_after_options(words: str) -> None:
    """Argparse itself takes no more of them once an option has come."""
    assert _parsed(["serve", *words.split()]).sources == ["a", "b", "c"]


def test_patterns_and_directories_are_expanded(films: Path, tmp_path: Path) -> None:
    """Those that the shell left; a name that only looks like a pattern is that file."""
    assert extract_many(films / "more" / "*.mp4", tmp_path / "one") == 0
    assert stems(tmp_path / "one") == ["b", "c [1]"]
    assert extract_many(films / "**" / "[ab].mp4", tmp_path / "two") == 0
    assert stems(tmp_path / "two") == ["a", "b"]
    assert extract_many(films, tmp_path / "three") == 0
    assert stems(tmp_path / "three") == ["a", "b", "c [1]"]
    assert extract_many(films / "more" / "c [1].mp4", tmp_path / "four") == 0
    assert stems(tmp_path / "four") == ["c [1]"]


def test_a_pattern_without_a_match_is_an_error(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is written."""
    assert extract_many(films / "a.mp4", films / "*.mkv", tmp_path / "out") == 1
    assert "no video matches the pattern" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("separator", ["\n", "\0"])
def test_lists_go_with_paths(
    films: Path, tmp_path: Path, separator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their names are literal; @- reads them from standard input."""
    names = [str(films / "more" / "c [1].mp4"), str(films / "a.mp4")]
    listed = tmp_path / "list"
    listed.write_text(separator.join(names))
    null = ["-0"] if separator == "\0" else []
    assert extract_many(*null, f"@{listed}", films / "more" / "b.mp4", tmp_path / "one") == 0
    assert stems(tmp_path / "one") == ["a", "b", "c [1]"]
    stdin = SimpleNamespace(buffer=io.BytesIO(listed.read_bytes()))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert extract_many("@-", *null, tmp_path / "two") == 0
    assert stems(tmp_path / "two") == ["a", "c [1]"]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["videos.txt", "out"], "'videos.txt' is not a video: write @videos.txt for a list of videos"),
        (["-", "out"], "'-' is not a video: write @- for a list of videos"),
        (["a.mp4", "out", "-0"], "argument -0/--null: expected a list, such as @videos.txt or @-"),
        (["a.mp4"], "the following arguments are required: DIR"),
        (["a.mp4", "out", "--header", "a: b"], "expected a SOURCE with http:// or https://"),
        (["a.mp4", "out", "--skip-signature"], "expected a SOURCE with s3://, gs:// or az://"),
    ],
)
def test_wrong_usage_of_many_is_explained(
    capsys: pytest.CaptureFixture[str], words: list[str], error: str
) -> None:
    """With what to write instead."""
    with pytest.raises(SystemExit, match="2"):
        main(["extract-many", *words])
    assert error in capsys.readouterr().err


@pytest.mark.anyio
async def test_headers_are_sent_for_many(tmp_path: Path) -> None:
    """With each request for an HTTP address, and with no other."""
    local = tmp_path / "local.mp4"
    local.write_bytes(CLIP)
    async with serving(DemandingServer(CLIP)) as url:
        words = ("extract-many", url, str(local), str(tmp_path / "out"), "--indices", "3")
        assert await asyncio.to_thread(main, words) == 1
        assert (
            await asyncio.to_thread(main, [*words, "--header", "X-Token: a: b", "--overwrite", "skip"]) == 0
        )
    assert stems(tmp_path / "out") == ["bunny", "local"]


def test_tables_of_many_are_stored(films: Path, tmp_path: Path) -> None:
    """In the folder that --table-cache names, as for one."""
    tables = tmp_path / "tables"
    assert extract_many(films, tmp_path / "out", "--table-cache", tables) == 0
    assert len([*tables.rglob("*.table")]) == 3


def test_public_buckets_are_read_without_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """--skip-signature sends none. Without credentials, the error says so."""
    pytest.importorskip("obstore", reason="obstore is not installed (extra cloud)")
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with RunningServer() as server:
        server.serve("/films/a.mp4", CLIP)
        monkeypatch.setenv("AWS_ENDPOINT", server.url(""))
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "open-sesame")
        assert main(["info", "s3://films/a.mp4"]) == 0
        signed = len(server.requests)
        assert all("authorization" in request.headers for request in server.requests)
        assert main(["info", "s3://films/a.mp4", "--skip-signature"]) == 0
        assert extract_many("s3://films/a.mp4", tmp_path / "out", "--skip-signature") == 0
        assert not [one for one in server.requests[signed:] if "authorization" in one.headers]
    assert stems(tmp_path / "out") == ["a"]
    with pytest.raises(SystemExit, match="2"):
        main(["info", "a.mp4", "--skip-signature"])
    assert "expected a SOURCE with s3://, gs:// or az://" in capsys.readouterr().err


def test_a_policy_still_refuses_buckets(capsys: pytest.CaptureFixture[str]) -> None:
    """Options for a source do not open what --untrusted refuses; the error names the option that does."""
    pytest.importorskip("obstore", reason="obstore is not installed (extra cloud)")
    assert main(["info", "s3://films/a.mp4", "--skip-signature", "--untrusted"]) == 1
    assert "--allow-scheme s3 allows it" in capsys.readouterr().err
    assert main(["info", "a.mp4", "--untrusted"]) == 1
    assert "--allow-scheme file allows it" in capsys.readouterr().err


def test_limits_that_errors_name_can_be_raised(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """--max-table-frames and --allow-container reach the video."""
    clip = str(films / "a.mp4")
    count = ["info", clip, "--count", "--no-table-cache", "--max-table-frames"]
    assert main([*count, "5"]) == 1
    assert "pass a larger --max-table-frames" in capsys.readouterr().err
    assert main([*count, "12"]) == 0
    picture = tmp_path / "picture.swf"
    picture.write_bytes(clip_bytes(frames=2, codec="flv1", container="swf"))
    assert main(["info", str(picture)]) == 1
    assert "--allow-container swf allows it" in capsys.readouterr().err
    assert main(["info", str(picture), "--allow-container", "swf"]) == 0
    assert "container  swf" in capsys.readouterr().out
