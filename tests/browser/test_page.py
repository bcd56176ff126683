"""What the page fetches, saves and copies, and how it looks."""

from __future__ import annotations

import base64
import io
import os
import re
import shlex
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

import asyncframes as af
from asyncframes.cli import main
from asyncframes.web import WebLimits
from tests.browser.conftest import FRAMES
from tests.browser.served import Served
from tests.support.streams.clips import make_clip, painted_index

if TYPE_CHECKING:
    from tests.browser.driven import DrivenPage

pytestmark = pytest.mark.slow

RIGHT, END = "\ue014", "\ue010"
TICKS = "return document.getElementById('ticks').toDataURL()"
BUNNY = Path(af.__file__).parent / "data" / "bunny.mp4"


def fetched(served: Served, kind: str) -> list[str]:
    return [request for request in served.requests if request.startswith("/v/") and f"/{kind}" in request]


def fetched_frames(served: Served) -> set[int]:
    """Return the frames that were asked for, alone or in chunks."""
    requests = "\n".join(served.requests)
    chunks = [(int(number), int(size)) for number, size in re.findall(r"/chunks/(\d+)\?size=(\d+)", requests)]
    singly = {int(index) for index in re.findall(r"/frames/(\d+)\.", requests)}
    return singly.union(*(range(number * size, (number + 1) * size) for number, size in chunks))


def wait_until_quiet(page: DrivenPage, served: Served) -> None:
    """Wait until the page has asked for nothing for a while."""

    def is_quiet() -> bool:
        before = len(served.requests)
        page.driver.execute_async_script("setTimeout(arguments[0], 800)")
        return len(served.requests) == before

    page.wait(is_quiet, "the page to be quiet")


def test_only_what_is_near_is_fetched(page: DrivenPage, served: Served) -> None:
    """Frames around the one shown, one part of the table, and no sprites before somebody hovers."""
    page.wait_for_frame(0)
    page.wait(lambda: fetched_frames(served) == {*range(48)}, "the frames around the first")
    wait_until_quiet(page, served)
    served.requests.clear()
    page.type("frame", "300")
    page.wait_for_frame(300)
    page.wait(lambda: fetched_frames(served) == {*range(272, 336)}, "the frames around it")
    wait_until_quiet(page, served)
    assert fetched_frames(served) == {*range(272, 336)}
    assert not fetched(served, "table?")  # its first part has all frames of this clip
    assert not fetched(served, "sprites")


def test_prefetched_frames_are_not_fetched_again(page: DrivenPage, served: Served) -> None:
    """A step to a frame that is here asks for nothing but what comes next."""
    page.wait_for_frame(0)
    wait_until_quiet(page, served)
    before = len(fetched(served, "frames"))
    page.press(*RIGHT * 5)
    page.wait_for_frame(5)
    wait_until_quiet(page, served)
    assert len(fetched(served, "frames")) == before


@pytest.fixture
def large(tmp_path: Path) -> Iterator[Served]:
    make_clip(tmp_path / "large.mp4", frames=60, width=1280, height=720)
    with Served({"large.mp4": tmp_path / "large.mp4"}) as served:
        yield served


def test_pictures_are_as_large_as_the_window_needs(page: DrivenPage, large: Served) -> None:
    """After a change of size they are fetched again, and each is still the frame of its number."""
    page.url = large.url
    page.resize(400, 800)
    page.open("#frame=20")
    page.wait_for_frame(20)
    assert page.run("return document.getElementById('picture').width") == 480
    page.resize(1000, 800)
    page.wait(lambda: page.run("return document.getElementById('picture').width") == 960, "a larger picture")
    page.wait_for_frame(20)
    page.press(RIGHT)
    page.wait_for_frame(21)
    page.resize(360, 640)
    page.press(RIGHT)
    page.wait_for_frame(22)
    page.wait(lambda: page.run("return document.getElementById('picture').width") == 480, "a smaller picture")


def test_saving_a_frame(page: DrivenPage, downloads: Path) -> None:
    """At full size, without loss."""
    page.wait_for_frame(0)
    page.press(RIGHT, RIGHT, RIGHT)
    page.wait_for_frame(3)
    page.press("s")
    saved = page.wait(lambda: list(downloads.glob("steady-000003.png")), "the file")
    assert painted_index(np.asarray(Image.open(saved[0]))) == 3


def choose_range(page: DrivenPage) -> None:
    """Choose frames 5 to 24, by keys."""
    page.wait_for_frame(0)
    page.press(*RIGHT * 5, "[")
    page.press(*RIGHT * 19, "]")
    page.wait_for_frame(24)
    assert (page.value("range-first"), page.value("range-last")) == ("5", "24")


@pytest.mark.parametrize("ext", ["jpg", "png"])
def test_downloading_a_range(page: DrivenPage, downloads: Path, ext: str) -> None:
    """As an archive that other programs read, of exactly the frames chosen."""
    choose_range(page)
    page.run("document.getElementById('range-format').value = arguments[0]", ext)
    target = downloads / "steady-5-24.zip"
    target.unlink(missing_ok=True)
    page.click("download")
    page.wait(lambda: page.text("notice") == "Downloaded frames 5 to 24.", "the download")
    page.wait(target.exists, "the file")
    with zipfile.ZipFile(target) as archive:
        assert archive.testzip() is None
        images = {name: Image.open(io.BytesIO(archive.read(name))) for name in archive.namelist()}
    assert [*images] == [f"{index:06}.{ext}" for index in range(5, 25)]
    assert [painted_index(np.asarray(image.convert("RGB"))) for image in images.values()] == [*range(5, 25)]


def test_a_range_must_be_chosen(page: DrivenPage) -> None:
    """Two frames of the video, the first one first."""
    page.wait_for_frame(0)
    for first, last in (("", ""), ("7", "6"), ("0", str(FRAMES)), ("a", "5")):
        for name, text in (("range-first", first), ("range-last", last)):
            page.element(name).clear()
            page.element(name).send_keys(text)
        page.click("download")
        assert "Choose a range first" in page.text("input-message")


def test_the_command_does_the_same(page: DrivenPage, clip: Path, tmp_path: Path) -> None:
    """It runs as it is where the server serves the video's bytes."""
    with Served({"a video's.mp4": clip}, WebLimits(allow_original=True)) as served:
        page.url = served.url
        page.open()
        choose_range(page)
        page.click("copy-command")
        command = page.wait(lambda: page.text("command"), "the command")
        program, *arguments = shlex.split(command)
        assert program == "asyncframes"
        arguments[arguments.index("frames")] = str(tmp_path / "frames")
        assert main(arguments) == 0
    written = sorted((tmp_path / "frames").glob("*.jpg"))
    assert [painted_index(np.asarray(Image.open(path))) for path in written] == [*range(5, 25)]


def test_copying_a_link(page: DrivenPage) -> None:
    """It leads to the frame, in the clipboard or where it can be copied by hand."""
    page.wait_for_frame(0)
    page.press(RIGHT, RIGHT, "c")
    link = f"{page.url}#video=steady.mp4&frame=2"
    page.wait(lambda: page.value("copy-text") == link or "Copied the link" in page.text("notice"), "the link")


def test_a_preview_under_the_pointer(page: DrivenPage, served: Served) -> None:
    """A tile of the sprite sheet, whose frame is near the place."""
    from selenium.webdriver.common.action_chains import ActionChains

    page.wait_for_frame(0)
    ActionChains(page.driver).move_to_element(page.element("position")).perform()
    page.wait(lambda: page.is_shown("preview-picture"), "the preview")
    tile = page.run("return document.getElementById('preview-picture').toDataURL('image/png')")
    image = Image.open(io.BytesIO(base64.b64decode(tile.partition(",")[2]))).convert("RGB")
    assert abs(painted_index(np.asarray(image)) - FRAMES / 2) <= FRAMES / 50
    assert fetched(served, "sprites.vtt")


def test_the_page_below_another_application(page: DrivenPage, clip: Path) -> None:
    """Its addresses are relative."""
    with Served({"steady.mp4": clip}, prefix="/films") as served:
        page.url = served.url
        page.open("#frame=30")
        page.wait_for_frame(30)
        page.press(RIGHT)
        page.wait_for_frame(31)
        assert all(request.startswith("/films/") for request in served.requests)


def test_bytes_fetched_are_told(page: DrivenPage) -> None:
    """As the server counts them, so far."""
    page.wait_for_frame(0)
    page.wait(lambda: re.fullmatch(r"[\d.]+ (bytes|kB|MB)", page.text("fact-fetched")), "the bytes fetched")


def test_ticks_and_range_follow_the_colours(page: DrivenPage) -> None:
    """They are drawn, not styled."""
    page.prefer("light")
    choose_range(page)
    light = page.run(TICKS)
    page.prefer("dark")
    page.wait(lambda: page.run(TICKS) != light, "other colours")
    page.prefer("light")
    page.wait(lambda: page.run(TICKS) == light, "the colours from before")


@pytest.mark.parametrize(
    ("name", "scheme", "size"), [("light", "light", (1280, 1000)), ("dark", "dark", (360, 940))]
)
def test_pictures_of_the_page(
    browser: Any, tmp_path: Path, name: str, scheme: Any, size: tuple[int, int]
) -> None:
    """Light and dark differ. ``ASYNCFRAMES_PICTURES=docs/pictures`` keeps the pictures, for the docs."""
    from tests.browser.driven import DrivenPage

    with Served({"bunny.mp4": BUNNY}) as served:
        page = DrivenPage(browser, served.url)
        page.resize(*size)
        page.prefer(scheme)
        browser.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
        page.open("#frame=70")
        page.wait(lambda: page.text("fact-fetched"), "all facts")
        taken = Image.open(io.BytesIO(browser.get_screenshot_as_png())).convert("RGB")
        browser.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": False})
        page.leave()
    assert taken.size == size
    assert (np.asarray(taken)[-1, -1].mean() < 64) == (scheme == "dark")
    folder = Path(os.environ.get("ASYNCFRAMES_PICTURES", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    taken.save(folder / f"player-{name}.jpg", quality=75, optimize=True)
