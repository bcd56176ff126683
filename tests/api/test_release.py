"""What a release consists of: its version, its changelog, its sdist and the page on the package index."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from importlib.metadata import distribution, version
from pathlib import Path

import pytest

import asyncframes

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LINK = re.compile(r"!?\[[^]]*\]\(([^)]+)\)")
HERE = re.compile(
    r"https://(?:raw\.githubusercontent\.com/asyncframes/asyncframes-video|github\.com/asyncframes/asyncframes-video/blob)"
    r"/v\$HFPR_VERSION/([^#]+)"
)


def test_the_version_is_written_once() -> None:
    """pyproject.toml has it; the package asks the installed distribution."""
    assert asyncframes.__version__ == version("asyncframes-video")
    written = re.compile(rf"(?<![\d.]){re.escape(PROJECT['project']['version'])}(?![\d.])")
    modules = [*ROOT.glob("asyncframes/**/*.py"), ROOT / "noxfile.py"]
    assert [path.name for path in modules if '__version__ = "' in path.read_text()] == []
    assert len(written.findall((ROOT / "pyproject.toml").read_text())) == 1


def test_the_changelog_has_dates() -> None:
    """What is unreleased comes first, then releases with their dates, the latest first."""
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    released = headings[headings[:1] == ["Unreleased"] :]
    assert headings
    assert all(re.fullmatch(r"\d+\.\d+\.\d+ - \d{4}-\d\d-\d\d", heading) for heading in released)
    dates = [heading.rpartition(" ")[2] for heading in released]
    assert dates == sorted(dates, reverse=True)


def long_description() -> str:
    """README as the build renders it, but for the version."""
    hook = PROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    text = "".join((ROOT / fragment["path"]).read_text() for fragment in hook["fragments"])
    for change in hook["substitutions"]:
        text = re.sub(change["pattern"], change["replacement"], text)
    return text


def test_links_of_the_long_description_lead_to_the_release() -> None:
    """A page on the package index has no files beside it: each link is absolute and names a file."""
    links = LINK.findall(long_description())
    assert [link for link in links if not link.startswith(("https://", "#"))] == []
    paths = [found[1] for link in links if (found := HERE.match(link))]
    relative = [link for link in LINK.findall((ROOT / "README.md").read_text()) if ":" not in link]
    assert len(paths) == len(relative) > 0
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_pictures_of_the_long_description_are_pictures() -> None:
    """The address of a picture is that of its bytes, not of a page that shows it."""
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", long_description())
    assert pictures
    assert all(picture.startswith("https://raw.githubusercontent.com/") for picture in pictures)


def test_an_installed_release_has_that_description() -> None:
    """The wheel's metadata has it, with the version in each address."""
    installed = distribution("asyncframes-video")
    if '"editable": true' in (installed.read_text("direct_url.json") or ""):
        pytest.skip("an editable install has the description of its first day")
    described = long_description().replace("$HFPR_VERSION", installed.version)
    assert described.strip() in installed.metadata["Description"]


def test_the_sdist_has_every_file_of_the_repository() -> None:
    """A file beside those that the sdist includes is added to them, or named here."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is no clone")
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    names = {path.partition("/")[0] for path in done.stdout.splitlines()}
    included = PROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    found = {path.name for pattern in included for path in ROOT.glob(pattern.lstrip("/"))}
    # Hatchling adds these.
    assert names - found == {".gitignore", "pyproject.toml"}
