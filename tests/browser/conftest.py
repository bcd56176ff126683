"""A browser and a server for the tests of the page."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.served import Served
from tests.support.servers.emulators import absent
from tests.support.streams.clips import make_clip

if TYPE_CHECKING:
    from tests.browser.driven import DrivenPage

FRAMES = 600
WIDTH, HEIGHT = 160, 96


def program(name: str) -> str:
    return shutil.which(name) or absent(f"{name} is not installed; .ci/debian-packages installs it")


@pytest.fixture(scope="session")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder in which the browser puts files."""
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="session")
def browser(downloads: Path) -> Iterator[Any]:
    """Run one Chromium for all tests."""
    if importlib.util.find_spec("selenium") is None:
        absent("selenium is not installed; the extra test installs it")
    from tests.browser.driven import start_chromium

    driver = start_chromium(program("chromium"), program("chromedriver"), downloads)
    yield driver
    driver.quit()


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a clip of steady rate, with a keyframe every 25 frames."""
    path = tmp_path_factory.mktemp("clips") / "steady.mp4"
    make_clip(path, frames=FRAMES, width=WIDTH, height=HEIGHT, gop=25)
    return path


@pytest.fixture
def served(clip: Path) -> Iterator[Served]:
    with Served({"steady.mp4": clip}) as served:
        yield served


@pytest.fixture
def page(browser: Any, served: Served) -> Iterator[DrivenPage]:
    """Open the page of `served`."""
    from tests.browser.driven import DrivenPage

    page = DrivenPage(browser, served.url)
    page.resize(1280, 900)
    page.leave()
    page.complaints()
    page.open()
    yield page
    page.leave()
