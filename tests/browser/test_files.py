"""The installed package has the page, which needs nothing from elsewhere."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

PAGE = Path(str(files("asyncframes.web"))) / "page"
INDEX = PAGE / "index.html"
MODULES = sorted(PAGE.glob("js/*.js"))
TEXTS = [INDEX, *MODULES, *sorted(PAGE.glob("css/*.css")), *sorted(PAGE.glob("*.svg"))]


def named_by(module: Path) -> set[Path]:
    """Return the modules that a module imports."""
    return {module.parent / name for name in re.findall(r'from "(.+?)";', module.read_text())}


def test_what_the_page_names_is_there() -> None:
    """Styles, modules, and what these import; nothing else is installed."""
    named = {
        PAGE / name.removeprefix("page/")
        for name in re.findall(r'(?:src|href)="(page/.+?)"', INDEX.read_text())
    }
    reached: set[Path] = set()
    while named - reached:
        reached |= named
        named |= {path for module in named if module.suffix == ".js" for path in named_by(module)}
    assert reached == {path for path in PAGE.rglob("*") if path.is_file()} - {INDEX}


def test_nothing_comes_from_elsewhere() -> None:
    """The page works offline."""
    addresses = {
        address for path in TEXTS for address in re.findall(r"\bhttps?://[^\s\"'`]+", path.read_text())
    }
    assert addresses <= {"http://www.w3.org/2000/svg"}


def test_no_script_or_style_is_inline() -> None:
    """The policy of the server's answers refuses them."""
    assert not re.findall(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", INDEX.read_text())


def test_a_module_has_one_subject() -> None:
    """As in Python: a short file that begins by saying what it is about."""
    for module in MODULES:
        lines = module.read_text().splitlines()
        assert lines[0].startswith("/** "), module.name
        assert len(lines) < 250, module.name
