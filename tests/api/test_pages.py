"""README.md and docs/: programs print what pages show, commands parse, links and anchors lead somewhere."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from importlib.util import find_spec
from operator import attrgetter
from pathlib import Path

import pytest

import asyncframes as af
from asyncframes.cli import _parser
from asyncframes.cli._arguments.parser import join_negatives
from tests.support.servers.supervisely_platform import TOKEN, Platform

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
RECIPES = sorted({*(DOCS / "cookbook").glob("*.md")} - {DOCS / "cookbook" / "index.md"})
HANGS = {"upstream.md"}
"""Pages whose programs show that another project hangs."""

VIDEO_URL = "https://example.com/video.mp4"
SERVER = "https://app.supervisely.com"
VIDEO_ID = 12345

FENCED = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.M | re.S)
SHOWN = re.compile(r"^```python\n((?:(?!^```$).)*)^```\n\nIt prints:\n\n```text\n(.*?)^```$", re.M | re.S)
"""A program and the output that the page says it has."""

GRID = r"^(::::\{grid\}(?:(?!^::::$).)*)^::::$"
BESIDE = re.compile(GRID + r"\n\nBoth print:\n\n```text\n(.*?)^```$", re.M | re.S)
"""Programs side by side, and the output that the page says both have."""


def blocks(page: Path, language: str) -> list[str]:
    return [block for named, block in FENCED.findall(page.read_text()) if named == language]


def programs() -> list[object]:
    return [
        pytest.param(page, block, id=f"{name_of(page)}-{number}")
        for page in PAGES
        if page.name not in HANGS
        for number, block in enumerate(blocks(page, "python"))
    ]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).with_suffix("").as_posix().removeprefix("docs/")


def shown_output(page: Path, block: str) -> str | None:
    text = page.read_text()
    of_both = {
        program: shown
        for grid, shown in BESIDE.findall(text)
        for language, program in FENCED.findall(grid)
        if language == "python"
    }
    return (of_both | dict(SHOWN.findall(text))).get(block)


@pytest.fixture
def platform() -> Iterator[Platform]:
    clip = files("asyncframes.data").joinpath("bunny.mp4").read_bytes()
    with Platform() as running:
        running.serve("/video.mp4", clip)
        running.add_video(VIDEO_ID, clip)
        yield running


LARGE = {
    "torch": "'asyncframes-video[torch]'",
    "ray": "'asyncframes-video[ray]'",
    "asyncframes.ray": "'asyncframes-video[ray]'",
    "pyspark": "pyspark",
    "daft": "daft",
    "cv2": "opencv-python-headless",
    "decord": "decord",
    "spdl": "spdl",
    "torchcodec": "torchcodec",
}
"""Packages that are too large to install for every test run, and what pip installs for them."""


def needs_large_packages(block: str) -> bool:
    """Skip a program where a package that it imports is absent; return whether it may warn."""
    found = [one for one in LARGE if re.search(rf"^\s*(import|from) {re.escape(one)}\b", block, re.M)]
    for module in found:
        package = module.rpartition(".")[2]
        # Not imported here: they bring FFmpegs of their own.
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed: pip install {LARGE[module]}")
    return found not in ([], ["torch"])


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize(("page", "block"), programs())
def test_python_blocks_run(page: Path, block: str, platform: Platform, tmp_path: Path) -> None:
    """Each block is a whole program, given a video.mp4 beside it and its addresses served from here.

    If the page says what it prints, it prints that.
    """
    may_warn = needs_large_packages(block)
    (tmp_path / "video.mp4").write_bytes(files("asyncframes.data").joinpath("bunny.mp4").read_bytes())
    program = block.replace(VIDEO_URL, platform.url("/video.mp4")).replace(SERVER, platform.address)
    done = subprocess.run(
        [sys.executable, *([] if may_warn else ["-W", "error", "-X", "dev"]), "-c", program],
        cwd=tmp_path,
        env=os.environ | {"API_TOKEN": TOKEN},
        capture_output=True,
        text=True,
        timeout=300 if may_warn else 50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    if (shown := shown_output(page, block)) is not None:
        assert done.stdout == shown
    if may_warn:
        # Engines log to the error stream, and warn of themselves.
        return
    # asyncio's debug mode names callbacks that took long, which is the machine's doing.
    assert not [line for line in done.stderr.splitlines() if not line.startswith("Executing <")]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_fences_are_closed_and_known(page: Path) -> None:
    """No program hides behind a language that is not run, or behind a fence that is not closed."""
    text = page.read_text()
    assert text.count("```") == 2 * len(FENCED.findall(text))
    assert {named for named, _ in FENCED.findall(text)} <= {"python", "sh", "text", "diff", "mermaid"}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_have_the_options_they_are_shown_with(page: Path) -> None:
    """The command line parses what these pages write."""
    for block in blocks(page, "sh"):
        for line in block.splitlines():
            for command in re.findall(r"(?:^|\s)asyncframes (.+)", line):
                arguments = shlex.split(command, comments=True)
                _parser().parse_args(join_negatives(arguments))


OURS = {*af.sources.__all__, *af.abc.__all__, *af.writers.__all__}


@pytest.mark.parametrize("page", [README, *sorted(DOCS.rglob("*.md"))], ids=name_of)
def test_names_import_as_they_are_written(page: Path) -> None:
    """Every ``af.…`` exists, and so does what a page names without its module."""
    text = page.read_text()
    for dotted in re.findall(r"\baf((?:\.\w+)+)", text):
        attrgetter(dotted[1:])(af)
    bare = {*re.findall(r"`(?:af\.)?(\w+)[`(]", text)}
    assert bare & OURS <= {*af.__all__}


def test_ci_runs_the_test_command() -> None:
    """The command that README gives for the tests is a line of `.ci/run`, word for word."""
    commands = [block.strip() for block in blocks(README, "sh") if "nox" in block]
    assert len(commands) == 1
    assert commands[0] in (ROOT / ".ci" / "run").read_text().splitlines()


def test_sessions_are_those_of_nox() -> None:
    """CONTRIBUTING and CI name sessions that nox has, and CI runs all that nox runs by itself."""
    noxfile = ast.parse((ROOT / "noxfile.py").read_text())
    sessions = set()
    for function in (node for node in noxfile.body if isinstance(node, ast.FunctionDef)):
        text = " ".join(ast.unparse(decorator) for decorator in function.decorator_list)
        if "nox.session" in text:
            named = re.search(r"name='([^']+)'", text)
            sessions.add(named[1] if named else function.name)
    shown = set(re.findall(r"^\| `([\w-]+)` ", (ROOT / "CONTRIBUTING.md").read_text(), re.M))
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    matrix = re.search(r"session: \[([^]]+)\]", workflow)
    assert matrix is not None
    run = {re.sub(r"-3\.\d+$", "", name) for name in matrix[1].replace(" ", "").split(",")}
    default = re.search(r"nox\.options\.sessions = \[([^]]+)\]", (ROOT / "noxfile.py").read_text())
    assert default is not None
    assert shown == run == set(re.findall(r'"([^"]+)"', default[1]))
    assert run <= sessions


def anchors(page: Path) -> set[str]:
    """Anchors that GitHub makes of headings."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", page.read_text()), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_and_pictures_are_there(page: Path) -> None:
    """What a page points to inside the project exists, headings included."""
    for target in re.findall(r"\]\(([^)]+)\)", FENCED.sub("", page.read_text())):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        linked = page.parent / path if path else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


@pytest.mark.parametrize("page", RECIPES, ids=name_of)
def test_recipes_show_what_they_print(page: Path) -> None:
    """Every program of the cookbook has its output below it."""
    assert blocks(page, "python")
    assert [block for block in blocks(page, "python") if shown_output(page, block) is None] == []


def test_readme_leads_to_every_page() -> None:
    """A reader of README finds all of docs/, but what is meant for other projects."""
    linked = set(re.findall(r"\]\(docs/([^)#]+\.md)", README.read_text()))
    # The pages of the reference are generated, so that only the site has them.
    folders = {page.parent for page in DOCS.rglob("index.md")} - {DOCS, DOCS / "reference"}
    wanted = {page.name for page in DOCS.glob("*.md")} | {f"{folder.name}/index.md" for folder in folders}
    assert linked == wanted - HANGS - {"index.md"}


def test_the_distribution_is_named_rightly() -> None:
    """No text tells people to install the other project of that name."""
    texts = [path.read_text() for path in [*PAGES, *ROOT.glob("*.md"), *ROOT.glob("asyncframes/**/*.py")]]
    assert not any(re.search(r"pip install ['\"]?asyncframes['\"]?(\[|\s|$)", text, re.M) for text in texts)


def test_architecture_names_what_is_there() -> None:
    """Each folder and file of the package that the page on architecture names exists."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    named = re.findall(r"[`>\s](\w[\w/]*(?:\.py|/))[`\",]", page)
    assert {"_media/codec/decoder.py", "sources/_http/source.py", "_cache/"} <= set(named)
    package = ROOT / "asyncframes"
    assert [name for name in named if not ((ROOT / name).exists() or [*package.rglob(name)])] == []
