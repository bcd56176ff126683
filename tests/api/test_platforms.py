"""The package on Windows and macOS, as far as Linux can be made to look like them."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from asyncframes.cli._sources.lists import directory_name
from asyncframes.cli.serve._served import _name
from tests.api.test_floors import MODULES
from tests.support.platforms import AS_MACOS, AS_WINDOWS, WITHOUT_LINUX

CLIP = str(files("asyncframes.data").joinpath("bunny.mp4"))
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux is made to look like the others")

POSIX_ONLY = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}


def run(program: str, folder: Path) -> str:
    """Run a program, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", program, CLIP],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def imported(nodes: list[ast.stmt]) -> Iterator[str]:
    """Names of what a module imports when it is imported itself on Windows, unless it does without."""
    for node in nodes:
        match node:
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom():
                yield str(node.module)
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
            case ast.If() if ast.unparse(node.test) in {"TYPE_CHECKING", "sys.platform != 'win32'"}:
                yield from imported(node.orelse)
            case ast.If():
                yield from imported([*node.body, *node.orelse])
            case ast.Try() if not any("ImportError" in ast.unparse(one) for one in node.handlers):
                yield from imported(node.body)


def test_no_module_needs_what_windows_lacks() -> None:
    """Extras included, which may be absent here, and tests, which would not be collected there."""
    modules = [*MODULES, *Path(__file__).parents[1].rglob("*.py")]
    lacking = [path.name for path in modules if POSIX_ONLY & {*imported(ast.parse(path.read_text()).body)}]
    assert lacking == []


EVERYTHING = """
from asyncframes.errors import MissingExtraError

for name in modules():
    if name == "asyncframes.__main__":
        continue
    try:
        importlib.import_module(name)
    except MissingExtraError:
        pass
print(len(sys.modules))
"""


SYSTEMS = pytest.mark.parametrize(
    "system",
    [pytest.param(AS_WINDOWS, id="windows"), pytest.param(AS_MACOS, id="macos", marks=pytest.mark.slow)],
)


@SYSTEMS
def test_every_module_is_imported(system: str, tmp_path: Path) -> None:
    """Those of decoding processes too, though Windows has none."""
    assert int(run(system + EVERYTHING, tmp_path)) > 0


USE = """
import os
from pathlib import Path

import asyncframes as af
from asyncframes._runtime.temporaries import temporary_beside
from asyncframes.cli import main

clip = sys.argv[1]
with af.sync.open_video(clip, table_cache=".") as video:
    first = video.frame(7).image
    assert video.batch(num_frames=4).images.shape[0] == 4
with open(clip, "rb") as file:
    for source in (file, file.fileno(), mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)):
        with af.sync.open_video(source) as video:
            assert (video.frame(7).image == first).all()
descriptor, end = os.pipe()
import threading
sender = threading.Thread(target=lambda: (os.write(end, Path(clip).read_bytes()), os.close(end)))
sender.start()
with af.sync.open_video(af.sources.ForwardSource(os.fdopen(descriptor, "rb"))) as video:
    assert (next(video.frames(start=7)).image == first).all()
sender.join()
Path("frames").mkdir()
unfinished = temporary_beside(Path("frames", "other.png"))
unfinished.touch()
for overwrite in ("error", "skip", "replace"):
    paths = af.sync.stream_frames_to_dir(clip, "frames", indices=[3, 7], overwrite=overwrite)
assert len(paths) == 2
unfinished.unlink()
assert main(["extract", clip, "more", "--indices", "3,7"]) == 0
assert main(["info", clip, "--json"]) == 0
assert main(["sheet", clip, "sheet.png"]) == 0
with af.sync.open_video(clip, idle_priority=True, deadline_seconds=50) as video:
    assert (video.frame(7).image == first).all()
print("used")
"""


@pytest.mark.slow
@SYSTEMS
def test_frames_come_and_are_saved_from_each_kind_of_source(system: str, tmp_path: Path) -> None:
    """Without positional reads, scheduling classes, signal handlers, and pipes that the loop watches."""
    assert run(system + USE, tmp_path).splitlines()[-1] == "used"
    assert len(list(tmp_path.glob("frames/*.png"))) == len(list(tmp_path.glob("more/*.png"))) == 2


def test_videos_below_a_directory_of_windows_are_named_with_slashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are parts of addresses, whatever separates the parts of a path."""
    monkeypatch.setattr(sys, "platform", "win32")
    assert _name("C:\\films\\a\\b.mp4", "C:\\films") == "a/b.mp4"


@pytest.mark.parametrize(("platform", "name"), [("linux", "a:b?\\c_d"), ("win32", "a_b__c_d")])
def test_directories_of_videos_have_names_that_the_system_accepts(
    platform: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address of a video may contain what the name of a directory cannot."""
    monkeypatch.setattr(sys, "platform", platform)
    assert directory_name("https://example.com/a%3Ab%3F%5Cc%00d.mp4").rpartition("-")[0] == name


IN_CHILD = "\n" + WITHOUT_LINUX + "\nmain("
ISOLATED = f"""
import asyncframes as af
from asyncframes._isolation import worker

worker._PROGRAM = worker._PROGRAM.replace("\\nmain(", {IN_CHILD!r})
with af.sync.open_video(sys.argv[1], isolation="process") as video:
    assert video.frame(7).image.any()
    assert video.batch(num_frames=4).images.shape[0] == 4
    print(sorted(video.isolation.measures), len(video.isolation.notes))
"""


@pytest.mark.slow
def test_macos_decodes_in_a_process(tmp_path: Path) -> None:
    """Images cross a file without a name, and only limits confine the process, which the report says."""
    measures, _, notes = run(AS_MACOS + ISOLATED, tmp_path).strip().rpartition(" ")
    assert measures == "['process', 'rlimits']"
    assert int(notes) >= 3
