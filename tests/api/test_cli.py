"""The command line: files, texts and exit statuses."""

from __future__ import annotations

import asyncio
import io
import json
import os
import shlex
import signal
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from aiohttp import web
from PIL import Image

import asyncframes
from asyncframes._requests.requests import Requests
from asyncframes._saving.sheet import spread
from asyncframes.cli import main
from asyncframes.cli._arguments.parser import join_negatives
from asyncframes.cli._sources.lists import directory_name
from asyncframes.cli.demo import ClipServer, serving
from asyncframes.cli.extract import INTERRUPTED
from asyncframes.cli.sheet import last_part
from asyncframes.writers._manifest import MANIFEST_NAME
from tests.support.marks import grid
from tests.support.servers.web import retries_at_once
from tests.support.streams.clips import clip_bytes, painted_index
from tests.support.streams.tagged import tagged

FRAMES, GOP = 48, 12
# a job in the background starts with SIGINT ignored, and so would its children
LAUNCH = (
    "import signal, sys, asyncframes.cli as cli; signal.signal(signal.SIGINT, signal.default_int_handler)"
)
SOURCE_TREE = {"PYTHONPATH": str(Path(asyncframes.__file__).parents[1])}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("cli") / "clip.mp4"
    path.write_bytes(clip_bytes(frames=FRAMES, gop=GOP))
    return str(path)


def painted_files(directory: Path) -> dict[str, int]:
    """Read every file of a directory; a temporary or half-written one would fail here."""
    pictures = [path for path in sorted(directory.iterdir()) if path.name != MANIFEST_NAME]
    return {path.name: painted_index(np.asarray(Image.open(path))) for path in pictures}


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    """Take what was printed, which must be one error line and nothing else."""
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("asyncframes: error: ")
    assert err.count("\n") == 1
    return err


@pytest.mark.parametrize(
    ("options", "size", "mode"),
    [
        ("--resize 48x32", (48, 32), "RGB"),
        ("--resize 192x", (192, 288), "RGB"),
        ("--resize x144 --image-format gray", (96, 144), "L"),
        ("--resize 48x32 --no-autorotate", (48, 32), "RGB"),
        ("--no-autorotate --deinterlace --tone-map --accurate-color", (96, 64), "RGB"),
        ("--square-pixels --color-matrix bt601 --image-format rgba", (64, 192), "RGBA"),
        ("--image-format gray16", (64, 96), "I;16"),
        ("--crop 3,5,40,60", (40, 60), "RGB"),
        ("--crop 3,5,40,60 --max-side 30", (20, 30), "RGB"),
        ("--resize 40x40 --fit inside", (27, 40), "RGB"),
        ("--resize 40x40 --fit cover", (40, 40), "RGB"),
        ("--multiple-of 28", (56, 84), "RGB"),
        ("--crop 0,150,64,42 --square-pixels", (64, 42), "RGB"),
    ],
)
def test_extract_makes_pictures_as_asked(
    tmp_path: Path, options: str, size: tuple[int, int], mode: str
) -> None:
    """Options of pictures reach the frames of a clip that is stored lying, with pixels twice as wide."""
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(clip_bytes(frames=2, rotation=90, options={"x264-params": "sar=2/1"}))
    assert main(["extract", str(clip), str(tmp_path / "out"), *options.split()]) == 0
    with Image.open(tmp_path / "out" / "frame_000001.png") as image:
        assert (image.size, image.mode) == (size, mode)


@pytest.mark.parametrize("resize", ["0x4", "4", "x", "ax4", "-3x4"])
def test_a_size_that_is_none_is_a_usage_error(
    clip: str, tmp_path: Path, resize: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is no size is refused before the video is opened, with an example of one."""
    with pytest.raises(SystemExit, match="2"):
        main(["extract", clip, str(tmp_path), f"--resize={resize}"])
    assert "640x360" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--start 5 --end 9", [5, 6, 7, 8, 9]),
        ("--start 5 --end 14 --step 3", [5, 8, 11, 14]),
        ("--start -3", [45, 46, 47]),
        ("--start -3 --end -2", [45, 46]),
        ("--end 2", [0, 1, 2]),
        ("--start 46 --end 999", [46, 47]),
        ("--indices -1,5,13", [5, 13, 47]),
        ("--times 0.5,1.0", [12, 25]),
        ("--times 0.519,0.999", [12, 24]),
        ("--times 0.519,0.999 --tolerance 0.0015", [13, 25]),
        ("--fps 5 --end 20", [0, 5, 10, 15, 20]),
        ("--fps 5/2", [0, 10, 20, 30, 40]),
        ("--fps 5 --max-frames 3", [0, 24, 47]),
        ("--fps 1/9 --end 9 --min-frames 2", [0, 9]),
        ("--num-frames 4 --start 8", [8, 21, 34, 47]),
        ("--num-frames 9 --end 2", [0, 1, 2]),
        ("--keyframes", [0, 12, 24, 36]),
    ],
)
def test_extract_writes_the_frames_named(
    clip: str, tmp_path: Path, options: str, expected: list[int]
) -> None:
    """Each way of naming frames writes these frames, each under its own index, and nothing more."""
    assert main(["extract", clip, str(tmp_path / "out"), *options.split()]) == 0
    assert painted_files(tmp_path / "out") == {f"frame_{index:06d}.png": index for index in expected}


def test_extract_names_and_encodes_as_asked(
    clip: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Template, ending, quality and layout reach the files."""
    options = "--end 1 --ext jpg --quality 90 --image-format gray --threads 1 --template {index}_a.{ext}"
    assert main(["extract", clip, str(tmp_path / "out"), *options.split()]) == 0
    assert painted_files(tmp_path / "out") == {"0_a.jpg": 0, "1_a.jpg": 1}
    with Image.open(tmp_path / "out" / "0_a.jpg") as image:
        assert (image.format, image.mode) == ("JPEG", "L")
    assert capsys.readouterr().out.startswith(f"2 frames in {tmp_path / 'out'}")


def test_extract_over_files_that_are_there(
    clip: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By default a file that is there is an error; skip keeps only its own, replace replaces it."""
    extract = ["extract", clip, str(tmp_path), "--end", "1"]
    kept = tmp_path / "frame_000001.png"
    kept.write_bytes(b"mine")
    assert main(extract) == 1
    assert "frame_000001.png" in error_line(capsys)
    assert kept.read_bytes() == b"mine"

    assert main([*extract, "--overwrite", "skip"]) == 1
    assert "does not record its video" in error_line(capsys)
    assert kept.read_bytes() == b"mine"

    assert main([*extract, "--overwrite", "replace"]) == 0
    kept_at = kept.stat().st_mtime_ns
    assert main([*extract, "--overwrite", "skip"]) == 0
    assert kept.stat().st_mtime_ns == kept_at
    assert painted_files(tmp_path) == {"frame_000000.png": 0, "frame_000001.png": 1}


def test_progress_goes_to_stderr_when_asked(
    clip: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a terminal there is a bar only with --progress, and it ends full."""
    assert main(["extract", clip, str(tmp_path / "quiet"), "--end", "3"]) == 0
    assert capsys.readouterr().err == ""
    assert main(["extract", clip, str(tmp_path / "shown"), "--end", "3", "--progress"]) == 0
    assert "4/4" in capsys.readouterr().err


def test_a_selection_is_resolved_once(clip: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The total of the bar and the frames to write come from the same indices."""
    calls = []
    resolve = Requests.resolve

    def counted(*args: Any, **options: Any) -> Any:
        calls.append(args)
        return resolve(*args, **options)

    monkeypatch.setattr(Requests, "resolve", counted)
    assert main(["extract", clip, str(tmp_path), "--indices", "3,1,3", "--overwrite", "skip"]) == 0
    assert painted_files(tmp_path) == {"frame_000001.png": 1, "frame_000003.png": 3}
    assert len(calls) == 1


def test_info_as_json_is_the_info(clip: str, capsys: pytest.CaptureFixture[str]) -> None:
    """--json prints the video's facts as one object, with the exact count where that is asked."""
    assert main(["info", clip, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["width"], facts["height"], facts["codec"]) == (96, 64, "h264")
    assert facts["average_rate"] == "25/1"
    assert "frames" not in facts
    assert main(["info", clip, "--json", "--count"]) == 0
    assert json.loads(capsys.readouterr().out)["frames"] == FRAMES


def test_info_for_people(clip: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The plain form says size, codec, rate and frames."""
    assert main(["info", clip, "--count"]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["size"] == "96x64"
    assert lines["codec"] == "h264, yuv420p"
    assert lines["frames"] == str(FRAMES)


def test_info_for_people_is_safe_to_print(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Tags, the creation time and the other streams are listed, and nothing controls the terminal."""
    path = tmp_path / "tagged.mkv"
    path.write_bytes(tagged(title="\x1b[31mred\nline", creation_time="2021-03-04T05:06:07Z"))
    assert main(["info", str(path)]) == 0
    out = capsys.readouterr().out
    assert "created    2021-03-04 05:06:07+00:00\n" in out
    assert "streams    1: audio, aac, 48000 Hz, 1 channel, fra, " in out
    assert '"Commentary"\n' in out
    assert r"title: \x1b[31mred\nline" in out


@pytest.mark.parametrize(
    ("selection", "frames"),
    [
        (["--indices", "3,-1"], 2),
        (["--keyframes"], 4),
        (["--num-frames", "4"], 4),
        (["--times", "0,0.2"], 2),
        (["--start", "2", "--end", "8", "--step", "3"], 3),
    ],
)
def test_sheet_takes_every_selection(
    selection: list[str], frames: int, clip: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As `extract` and `Video.contact_sheet` do."""
    assert main(["sheet", clip, str(tmp_path / "sheet.png"), *selection]) == 0
    assert capsys.readouterr().out.startswith(f"{frames} frame")


def test_sheet_spreads_frames_evenly(clip: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A sheet of the asked width holds the asked number of frames."""
    out = tmp_path / "sheet.png"
    assert main(["sheet", clip, str(out), "--columns", "3", "--rows", "2", "--width", "600"]) == 0
    assert capsys.readouterr().out.startswith(f"6 frames on {out}")
    with Image.open(out) as image:
        assert 580 < image.width <= 600
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]


def test_spread_takes_the_middles() -> None:
    """Picks are the middles of equal parts, and all there is when that is less."""
    assert spread(np.arange(100, 140), 4).tolist() == [105, 115, 125, 135]
    assert spread(np.arange(3), 20).tolist() == [0, 1, 2]
    assert spread(np.arange(0), 20).tolist() == []


def test_demo_fetches_a_part_of_the_clip(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The demo leaves frames and a sheet, can run again, and fetches less than the file for the frames."""
    for _ in range(2):
        assert main(["demo", str(tmp_path)]) == 0
    assert [path.name for path in sorted((tmp_path / "frames").glob("[!.]*"))] == [
        f"frame_{index:06d}.png" for index in range(105, 115)
    ]
    with Image.open(tmp_path / "sheet.png") as image:
        assert image.width > 1000
    sent = next(line for line in capsys.readouterr().out.splitlines() if "for these" in line)
    assert int(sent.partition("(")[2].partition("%")[0]) < 100


def test_shipped_clip_is_the_hard_case() -> None:
    """The demo's clip is small, has B-frames, keyframes a second apart, and its header last."""
    data = files("asyncframes").joinpath("data", "bunny.mp4").read_bytes()
    assert len(data) < 1_000_000
    assert data.index(b"mdat") < data.index(b"moov")
    with av.open(io.BytesIO(data), "r") as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.pts is not None]
        assert (stream.width, stream.height) == (640, 360)
        assert stream.average_rate == 25
    assert [packet.pts for packet in packets] != sorted(packet.pts or 0 for packet in packets)
    assert [place for place, packet in enumerate(packets) if packet.is_keyframe] == [0, 25, 50, 75, 100, 125]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("info {missing}", "missing.mp4"),
        ("info {directory}", "directory"),
        ("info {text}", ""),
        ("info {empty}", "empty"),
        ("extract {clip} {directory}/out --start 5 --end 3", "--end 3 is before --start 5"),
        ("extract {clip} {directory}/out --start 48", "48"),
        ("extract {clip} {directory}/out --indices 3,480", "480"),
        ("extract {clip} {directory}/out --times 99", "99"),
        ("extract {clip} {directory}/out --times 1 --tolerance nan", "--tolerance nan"),
        ("extract {clip} {directory}/out --fps 1000000000", "10,000,000 frames"),
        ("extract {clip} {directory}/out --step 0", "--step 0"),
        ("extract {clip} {directory}/out --fps 0", "--fps 0"),
        ("extract {clip} {directory}/out --max-frames 4", "--max-frames goes with --fps"),
        ("extract {clip} {directory}/out --crop 0,0,97,64", "--crop 0,0,97,64 is outside"),
        ("extract {clip} {directory}/out --fit cover", "expected --resize WIDTHxHEIGHT"),
        ("extract {clip} {directory}/out --max-side 4 --resize 4x", "--max-side 4 with --resize 4x"),
        ("extract {clip} {directory}/out --ext nonsense", "nonsense"),
        ("extract {clip} {text} --end 0", "text.mp4"),
        ("sheet {clip} {directory}/sheet.nonsense", "sheet.nonsense"),
        ("sheet {clip} {directory}/nowhere/sheet.png", "nowhere"),
        ("info http://127.0.0.1:9/clip.mp4?token=secret --timeout 5", "127.0.0.1:9/clip.mp4"),
    ],
)
def test_errors_are_one_line(
    clip: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, said: str
) -> None:
    """What goes wrong is one line that names it, without secrets or a traceback, and exit status 1."""
    (tmp_path / "text.mp4").write_text("this is no video\n" * 100)
    (tmp_path / "empty.mp4").touch()
    places = {
        "clip": clip,
        "directory": str(tmp_path),
        "missing": str(tmp_path / "missing.mp4"),
        "text": str(tmp_path / "text.mp4"),
        "empty": str(tmp_path / "empty.mp4"),
    }
    with retries_at_once():
        assert main([word.format(**places) for word in command.split()]) == 1
    line = error_line(capsys)
    assert said in line
    assert "secret" not in line


@pytest.mark.parametrize(
    "command",
    [
        "",
        "nonsense",
        "extract clip.mp4",
        "extract clip.mp4 out --step x",
        "extract clip.mp4 out --workers 0",
        "extract clip.mp4 out --fps 1/0",
        "extract clip.mp4 out --indices 1,x",
        "extract clip.mp4 out --indices 1 --fps 2",
        "extract clip.mp4 out --num-frames 1 --fps 2",
        "extract clip.mp4 out --num-frames 0",
        "extract clip.mp4 out --crop 0,0,4",
        "extract clip.mp4 out --crop 0,0,4,0",
        "extract clip.mp4 out --crop 0,0,4,4.5",
        "extract clip.mp4 out --crop 0,0,4," + "4" * 5000,
        "extract clip.mp4 out --fit contain",
        "extract clip.mp4 out --max-side 0",
        "extract clip.mp4 out --multiple-of 0",
        "extract clip.mp4 out --on-corrupt guess",
        "info clip.mp4 --header secret",
        "info clip.mp4 --header name:secret",
        "info clip.mp4 --timeout inf",
    ],
)
def test_wrong_usage_exits_with_2(capsys: pytest.CaptureFixture[str], command: str) -> None:
    """Wrong usage prints the usage, keeps a header's value to itself, and exits with status 2."""
    with pytest.raises(SystemExit) as exit_info:
        main(command.split())
    assert exit_info.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith("usage: asyncframes")
    assert "secret" not in err


@pytest.mark.parametrize("command", ["", "extract", "info", "sheet", "demo", "doctor"])
def test_help_of_every_command(capsys: pytest.CaptureFixture[str], command: str) -> None:
    """--help prints and exits with 0, and a command's help ends in examples."""
    with pytest.raises(SystemExit) as exit_info:
        main([*command.split(), "--help"])
    assert exit_info.value.code == 0
    out = capsys.readouterr().out
    assert not command or f"examples:\n  asyncframes {command}" in out


def test_negative_lists_are_not_options() -> None:
    """A list that starts with a negative number stays with its option; other words stay as they are."""
    joined = ["a", "--indices=-1,5", "--start=-3", "--keyframes", "-0"]
    assert join_negatives(["a", "--indices", "-1,5", "--start", "-3", "--keyframes", "-0"]) == joined
    assert join_negatives(["--times", "-.5", "--indices", "--fps"]) == ["--times=-.5", "--indices", "--fps"]


def test_title_has_no_secrets() -> None:
    """A sheet's title is the last part of the path, without query, fragment or credentials."""
    assert last_part("https://user:pass@host/a/my%20clip.mp4?token=secret#x") == "my clip.mp4"
    assert last_part("/films/a.mp4") == "a.mp4"
    assert last_part("data:video/mp4;base64,AAAA/hush") == "a data: URL of 31 characters"


class DemandingServer(ClipServer):
    """Answers only requests that carry a token."""

    async def send(self, request: web.Request) -> web.Response:
        if request.headers.get("X-Token") != "a: b":
            return web.Response(status=403)
        return await super().send(request)


class StallingServer(ClipServer):
    """Never answers for bytes past the middle."""

    async def send(self, request: web.Request) -> web.Response:
        _, stop, _ = request.http_range.indices(len(self.clip))
        if "Range" not in request.headers or stop > len(self.clip) // 2:
            await asyncio.Event().wait()
        return await super().send(request)


@pytest.mark.anyio
async def test_headers_are_sent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--header reaches the server with each request; without it the refusal is one line."""
    server = DemandingServer(clip_bytes(frames=FRAMES, gop=GOP))
    async with serving(server) as url:
        extract = ["extract", url, str(tmp_path / "out"), "--start", "20", "--end", "21"]
        assert await asyncio.to_thread(main, extract) == 1
        assert "403" in error_line(capsys)
        assert await asyncio.to_thread(main, [*extract, "--header", "X-Token: a: b"]) == 0
    assert painted_files(tmp_path / "out") == {"frame_000020.png": 20, "frame_000021.png": 21}
    assert "bytes read in" in capsys.readouterr().out


@pytest.mark.anyio
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to another process")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_ctrl_c_leaves_whole_files(tmp_path: Path, number: int, status: int) -> None:
    """SIGINT or SIGTERM in mid-extraction prints one line, and every file is a whole image."""
    # raw pictures of 86 kB: the middle of the file is far behind the first frames
    picture = {"codec": "rawvideo", "pixel_format": "rgb24", "width": 240, "height": 120}
    clip = clip_bytes(container="mov", frames=100, faststart=True, **picture)
    out = tmp_path / "out"
    async with serving(StallingServer(clip)) as url:
        process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-c", f"{LAUNCH}; sys.exit(cli.main())", "extract", url, str(out)],
            stderr=asyncio.subprocess.PIPE,
            env=os.environ | SOURCE_TREE,
        )
        while not list(out.glob("frame_*.png")):
            assert process.returncode is None
            await asyncio.sleep(0.02)
        process.send_signal(number)
        _, err = await process.communicate()
    assert err.decode() == f"asyncframes: {INTERRUPTED}\n"
    assert process.returncode == status
    files = painted_files(out)
    assert files == {f"frame_{index:06d}.png": index for index in files.values()}
    assert 1 <= len(files) < 100


def run_module(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "asyncframes", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | SOURCE_TREE)


def test_module_runs_as_the_command() -> None:
    """``python -m asyncframes`` is the same program, and names its version."""
    result = run_module("--version")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"asyncframes {asyncframes.__version__}\n"


@pytest.mark.skipif(sys.platform == "win32", reason="the shell of POSIX closes the streams")
@pytest.mark.parametrize("closed", grid(["<&-", ">&-", "2>&-", "<&- >&- 2>&-"], fast=lambda one: " " in one))
def test_standard_streams_may_be_closed(closed: str, clip: str, tmp_path: Path) -> None:
    """Services and schedulers start programs without them."""
    command = shlex.join([sys.executable, "-m", "asyncframes", "extract", clip, str(tmp_path), "--end", "2"])
    done = subprocess.run(["sh", "-c", f"{command} {closed}"], check=False, env=os.environ | SOURCE_TREE)
    assert done.returncode == 0
    assert sorted(painted_files(tmp_path).values()) == [0, 1, 2]


@pytest.mark.slow
def test_a_process_prints_one_line_too() -> None:
    """Attempts that failed on the way leave one line: the error."""
    result = run_module("info", "http://127.0.0.1:9/clip.mp4?token=secret")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("asyncframes: error: ")
    assert result.stderr.count("\n") == 1
    assert "secret" not in result.stderr


def test_tables_are_stored_unless_told_not_to(
    clip: str, tmp_path: Path, user_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By default in the user's cache directory, else where --table-cache says, or not at all."""

    def tables(folder: Path) -> int:
        return len([*folder.rglob("*.table")])

    before = tables(user_cache)
    folder = tmp_path / "tables"
    for options in (["--no-table-cache"], ["--table-cache", str(folder)], ["--table-cache", str(folder)]):
        assert main(["info", clip, "--count", *options]) == 0
    assert (tables(folder), tables(user_cache)) == (1, before)
    Path(clip).touch()
    assert main(["info", clip, "--count"]) == 0
    assert (tables(folder), tables(user_cache)) == (1, before + 1)
    assert capsys.readouterr().out.count("48") == 4


def test_extract_many_works_through_a_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each video gets a directory; one that fails is named, the others come out, and the status says so."""
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(clip_bytes(frames=24))
    listed = tmp_path / "list.txt"
    second = tmp_path / "b" / "clip.mp4"
    second.parent.mkdir()
    second.write_bytes(clip.read_bytes())
    listed.write_text(f"{clip}\n\n{second}\n{clip}\n{tmp_path}/nowhere.mp4\n")
    out = tmp_path / "out"
    command = ["extract-many", f"@{listed}", str(out), "--indices", "3,20", "--progress"]
    assert main(command) == 1
    printed = capsys.readouterr()
    assert "nowhere" in printed.err
    assert "1 video of 3 failed" in printed.err
    assert "4 frames of 2 videos" in printed.out
    made = {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    assert len(made) == 4
    assert len({path.parent.name for path in made}) == 2
    listed.write_text(f"{second}\n")
    assert main([*command, "--overwrite", "skip"]) == 0
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.png")} == made


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [(b"", "", "names no video"), (b"\n \r\n", "", "names no video"), (b"\0\0", "-0", "names no video")],
)
def test_a_list_that_names_nothing_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, options: str, said: str
) -> None:
    """Nothing to do is not success."""
    (tmp_path / "list").write_bytes(content)
    assert main(["extract-many", f"@{tmp_path}/list", str(tmp_path / "out"), *options.split()]) == 1
    assert said in error_line(capsys)


def test_a_video_is_no_list(clip: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A video in the list's place, or NUL between names without -0, is an error that says so."""
    assert main(["extract-many", f"@{clip}", str(tmp_path / "out")]) == 1
    assert "expected one name per line" in error_line(capsys)
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems keep to text in names")
@pytest.mark.parametrize("separator", [b"\n", b"\0"])
def test_names_on_a_list_are_taken_as_they_are(
    clip: str, tmp_path: Path, separator: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    """A number sign, spaces and bytes that are no text belong to the name."""
    names = [b"#1.mp4", b" a b .mp4", b"\xff\xe9.mp4"]
    paths = [os.path.join(os.fsencode(tmp_path), name) for name in names]  # noqa: PTH118 - bytes
    for path in paths:
        os.symlink(os.fsencode(clip), path)  # noqa: PTH211 - bytes
    (tmp_path / "list").write_bytes(separator.join(paths))
    options = ["--end", "0", *(["-0"] if separator == b"\0" else [])]
    assert main(["extract-many", f"@{tmp_path}/list", str(tmp_path / "out"), *options]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith("3 frames of 3 videos")


def test_directories_depend_on_the_source_alone(tmp_path: Path) -> None:
    """One source has one directory, however it is written or signed; others have others."""
    signed = [f"https://u:p@host/a.mp4?id=1&X-Amz-Signature={word}&sig={word}" for word in ("x", "y")]
    assert directory_name(signed[0]) == directory_name(signed[1])
    assert directory_name("a.mp4") == directory_name("./a.mp4")
    different = ["a/x.mp4", "b/x.mp4", signed[0], "https://host/a.mp4?id=2", "https://host/a.mp4"]
    assert len({directory_name(source) for source in different}) == len(different)
    assert directory_name("a/x.mp4").startswith("x-")
    assert directory_name("data:video/mp4;base64,AAAA/hush").startswith("data-")
    assert directory_name("data:,a") != directory_name("data:,b")


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes of that kind")
def test_output_that_nobody_reads_ends_without_a_traceback(clip: str) -> None:
    """A closed pipe ends the command with a status of its own, and with nothing on stderr."""
    command = [sys.executable, "-m", "asyncframes", "info", clip, "--json"]
    reader, pipe = os.pipe()
    os.close(reader)
    with os.fdopen(pipe, "wb") as stdout:
        result = subprocess.run(
            command, stdout=stdout, stderr=subprocess.PIPE, check=False, env=os.environ | SOURCE_TREE
        )
    assert (result.returncode, result.stderr) == (141, b"")


def test_a_table_cache_that_cannot_be_used_is_said(clip: str) -> None:
    """A file in the folder's place costs a line on stderr, and nothing else."""
    result = run_module("info", clip, "--count", "--table-cache", clip)
    assert result.returncode == 0
    assert result.stderr.count("\n") == 1
    assert f"table_cache {clip} is not usable" in result.stderr
