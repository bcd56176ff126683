"""``asyncframes serve``: what is served under which name, and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from pathlib import Path
from urllib.parse import quote

import aiohttp
import fsspec
import pytest

from asyncframes.cli import main
from asyncframes.cli._sources.addresses import Addresses
from asyncframes.cli.serve._served import ServedVideos, as_directory
from tests.api.test_cli import LAUNCH, SOURCE_TREE
from tests.support.streams.clips import clip_bytes

pytestmark = pytest.mark.anyio

PLAIN = Addresses({}, skip_signature=False, policy=None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory of videos, one of them in a folder of its own."""
    for name in ("a.mp4", "more/a.mp4", "more/notes.txt", "b c.mp4"):
        path = tmp_path / "films" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(clip_bytes(frames=12))
    return tmp_path / "films"


async def test_names_are_unique_and_short(folder: Path) -> None:
    """Videos of a directory keep their path below it; others have the name of their file."""
    given = [str(folder), str(folder / "a.mp4"), "https://u:secret@host/x/y.mp4?sig=secret"]
    served = ServedVideos(given, PLAIN)
    assert await served.names() == ["a.mp4", "b c.mp4", "more/a.mp4", "a-2.mp4", "y.mp4"]
    assert await served.source("more/a.mp4") == str(folder / "more/a.mp4")
    assert await served.source("a-2.mp4") == str(folder / "a.mp4")
    for name in ("../films/a.mp4", "notes.txt", "more/notes.txt", str(folder / "a.mp4")):
        assert await served.source(name) is None


async def test_buckets_are_listed_below_their_root() -> None:
    """Names are paths below it, however the file system spells its URLs; what comes later is found."""
    memory = fsspec.filesystem("memory")
    memory.pipe({"/films/a.mp4": b"1", "/films/more/b.mkv": b"2", "/films/notes.txt": b"3", "/c.mp4": b"4"})
    served = ServedVideos([as_directory("memory://films")], PLAIN)
    assert await served.names() == ["a.mp4", "more/b.mkv"]
    memory.pipe({"/films/later.mp4": b"5"})
    assert await served.source("later.mp4") is None
    served._listed_at = float("-inf")
    assert str(await served.source("later.mp4")).startswith("memory://")
    with pytest.raises(ValueError, match="cannot be listed"):
        as_directory("https://user:secret@host/films?sig=secret")


def test_what_is_not_there_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is served."""
    assert main(["serve", str(tmp_path / "absent.mp4")]) == 1
    assert "there is no such file or directory" in capsys.readouterr().err
    assert main(["serve", str(tmp_path)]) == 1
    assert "no video is in the directory" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["serve"])


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to another process")
@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
async def test_it_serves_until_it_is_stopped(folder: Path, number: signal.Signals) -> None:
    """Its first line is the address; signals end it with status 0 and without a word."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", f"{LAUNCH}; sys.exit(cli.main())", "serve", str(folder)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | SOURCE_TREE,
    )
    assert process.stdout is not None
    line = (await asyncio.wait_for(process.stdout.readline(), 60)).decode()
    found = re.fullmatch(r"3 videos at (http://127\.0\.0\.1:\d+/) \(Ctrl-C ends\)\n", line)
    assert found, line
    async with aiohttp.ClientSession(found[1]) as client:
        async with client.get("videos") as reply:
            names = [video["id"] for video in json.loads(await reply.read())["videos"]]
        for name in names:
            async with client.get(f"v/{quote(name, safe='')}/frames/7.jpg") as reply:
                assert (reply.status, reply.headers["X-Frame-Index"]) == (200, "7")
                assert reply.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        async with client.get("videos", headers={"Host": "evil.example"}) as reply:
            assert reply.status == 421
    process.send_signal(number)
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, out, err) == (0, b"", b"")
