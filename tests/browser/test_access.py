"""Everybody can use the page: by keyboard alone, with a screen reader, in a narrow window, in the dark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.served import Served
from tests.support.servers.emulators import absent
from tests.support.streams.clips import make_clip

if TYPE_CHECKING:
    from tests.browser.driven import DrivenPage

pytestmark = pytest.mark.slow

AXE = Path(__file__).parents[2] / ".ci" / "npm" / "node_modules" / "axe-core" / "axe.min.js"
RUN_AXE = (
    "const done = arguments[0]; axe.run().then((found) => done(found.violations), (e) => done([String(e)]))"
)
LONG_NAME = "recordings/" + "long-name_" * 12 + ".mp4"
TAB, RIGHT, ENTER, ESCAPE, SPACE = "\ue004", "\ue014", "\ue007", "\ue00c", " "

OUTSIDE = """
return [...document.querySelectorAll("body *")]
  .filter((one) => one.checkVisibility() && !one.closest(".skip, .spoken"))
  .map((one) => [one.id || one.tagName, one.getBoundingClientRect()])
  .filter(([, box]) => box.width && (box.left < 0 || box.right > document.documentElement.clientWidth))
  .map(([name]) => name);
"""
CONTROLS = """
return [...document.querySelectorAll("a[href], button, input, select, summary")]
  .filter((one) => one.checkVisibility() && !one.closest(".skip")).map((one) => one.id || one.textContent);
"""
WIDTHS = "const page = document.documentElement; return [page.scrollWidth, page.clientWidth]"
FOCUSED = "return document.activeElement.id || document.activeElement.textContent"


@pytest.fixture
def two(tmp_path: Path, clip: Path, page: DrivenPage) -> Iterator[DrivenPage]:
    """Open a page with a list of two videos, one of which has a long name without a space."""
    make_clip(tmp_path / "b.mp4", frames=30)
    with Served(
        {"steady.mp4": clip, "recordings/" + "long-name_" * 12 + ".mp4": tmp_path / "b.mp4"}
    ) as served:
        page.url = served.url
        page.open()
        page.wait_for_frame(0)
        yield page


@pytest.fixture
def axe() -> str:
    if not AXE.exists():
        absent("axe-core is not installed; .ci/npm-packages installs it")
    return AXE.read_text()


def serious(page: DrivenPage, axe: str) -> list[tuple[str, Any]]:
    """Return what axe finds on the page that is serious or critical, and where."""
    page.run(axe)
    found = page.driver.execute_async_script(RUN_AXE)
    assert all(isinstance(one, dict) for one in found), found
    return [
        (one["id"], [node["html"] for node in one["nodes"]])
        for one in found
        if one["impact"] in {"serious", "critical"}
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(two: DrivenPage, axe: str, scheme: Any) -> None:
    """As the page opens, with messages on it, and with its dialog open."""
    two.prefer(scheme)
    assert not serious(two, axe)
    two.type("frame", "nothing")
    two.press(ESCAPE, "[", "]")
    two.click("copy-command")
    two.wait(lambda: two.text("command"), "the command")
    two.press(ESCAPE)
    two.type("frame", "nothing")
    assert two.is_shown("input-message")
    assert not serious(two, axe)
    two.press(ESCAPE, "?")
    assert two.is_shown("help")
    assert not serious(two, axe)


def test_axe_would_find_something(page: DrivenPage, axe: str) -> None:
    """A button without a name, for instance."""
    page.wait_for_frame(0)
    page.run("document.getElementById('next').removeAttribute('aria-label');"
             "document.getElementById('next').removeAttribute('title')")  # fmt: skip
    assert [name for name, _ in serious(page, axe)] == ["button-name"]


def test_a_narrow_window(two: DrivenPage) -> None:
    """At 360 pixels nothing is cut off, and nothing scrolls sideways."""
    two.resize(360, 740)
    two.click("range-first-here")
    two.click("copy-command")
    two.wait(lambda: two.text("command"), "the command")
    two.press(ESCAPE)
    two.type("frame", "99999999999999999999999999999999999999999999")
    for dialog in (False, True):
        if dialog:
            two.press(ESCAPE, "?")
        widest, room = two.run(WIDTHS)
        assert widest <= room
        assert not two.run(OUTSIDE)
    two.press(ESCAPE, RIGHT)
    two.wait_for_frame(1)


def test_every_control_can_be_reached_by_tab(two: DrivenPage) -> None:
    """In the order of the page."""
    two.run("document.activeElement.blur()")
    controls = two.run(CONTROLS)
    reached = []
    for _ in range(len(controls) + 5):
        two.press(TAB)
        reached.append(two.run(FOCUSED))
    assert [name for name in reached if name in controls][: len(controls)] == controls
    assert reached[0] == "skip"


def test_using_the_page_without_a_mouse(two: DrivenPage) -> None:
    """Buttons, the list of videos, fields and the slider."""

    def focus(name: str) -> None:
        while two.run(FOCUSED) != name:
            two.press(TAB)

    focus("next")
    two.press(ENTER)
    two.wait_for_frame(1)
    two.press(SPACE)  # presses the button, and does not play
    two.wait_for_frame(2)
    focus("position")
    two.press(RIGHT)
    two.wait_for_frame(3)
    two.press("f", "4", "1", ENTER)
    two.wait_for_frame(41)
    two.press("t", "0", ":", "0", "2", ENTER, RIGHT)
    two.wait_for_frame(51)
    focus(LONG_NAME)
    two.press(ENTER)
    two.wait(lambda: two.text("fact-size").startswith("96 × 64"), "the other video")
    two.wait_for_frame(0)


def test_screen_readers_are_told(page: DrivenPage) -> None:
    """The frame that stays, its place on the slider, and what the picture is."""
    page.wait_for_frame(0)
    page.press(*RIGHT * 25)
    page.wait_for_frame(25)
    page.wait(lambda: page.text("announcement") == "Frame 25, 0:01.000, keyframe", "the announcement")
    assert page.element("position").get_attribute("aria-valuetext") == "Frame 25, 0:01.000"
    assert page.element("picture").get_attribute("aria-label") == "Frame 25 of steady.mp4"
    page.press(RIGHT)
    page.wait(lambda: page.text("announcement") == "Frame 26, 0:01.040", "the announcement")
