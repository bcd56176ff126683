"""The player shows the frame whose number it tells. Pictures carry their numbers, and each look compares."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from asyncframes.web._routes import facts
from tests.browser.served import Served
from tests.support.streams.clips import make_clip

if TYPE_CHECKING:
    from tests.browser.driven import DrivenPage

LAST = 599
GOP = 25
LEFT, RIGHT, PAGE_UP, PAGE_DOWN, HOME, END = "\ue012", "\ue014", "\ue00e", "\ue00f", "\ue011", "\ue010"
NOTE_FRAMES = """
const [pace, frame] = ["pace", "fact-frame"].map((id) => document.getElementById(id));
pace.value = arguments[0];
pace.dispatchEvent(new Event("change"));
window.seen = [];
window.started = performance.now();
new MutationObserver(() => {
  seen.push(parseInt(frame.textContent));
  window.seconds = (performance.now() - started) / 1000;
}).observe(frame, { childList: true });
"""
TICKED = """
const ticks = document.getElementById("ticks");
const { data, width } = ticks.getContext("2d").getImageData(0, ticks.height - 1, ticks.width, 1);
return Array.from({ length: width }, (_, x) => x).filter((x) => data[4 * x + 3] > 0);
"""
HAS_ARRIVED = """
return performance.getEntriesByType("resource").some(({ name }) => name.includes(arguments[0]));
"""
SHIFT, SPACE, ESCAPE = "\ue008", " ", "\ue00c"


def test_the_picture_is_the_frame_of_the_number_shown(page: DrivenPage) -> None:
    """A first look: open, step by one and by ten, and go to both ends."""
    page.wait_for_frame(0)
    page.press(RIGHT, RIGHT, RIGHT, LEFT)
    page.wait_for_frame(2)
    page.press_with(SHIFT, RIGHT)
    page.wait_for_frame(12)
    page.press(END)
    page.wait_for_frame(LAST)
    page.press(LEFT)
    page.wait_for_frame(LAST - 1)
    assert page.text("fact-size").startswith("160 × 96")
    assert not page.complaints()


@pytest.mark.slow
def test_each_of_200_steps_forward_and_backward(page: DrivenPage) -> None:
    """A step shows the next frame, and never another one."""
    page.wait_for_frame(0)
    for index in range(1, 201):
        page.press(RIGHT)
        page.wait_for_frame(index)
    for index in reversed(range(200)):
        page.press(LEFT)
        page.wait_for_frame(index)


@pytest.mark.slow
def test_keys_may_be_faster_than_pictures(page: DrivenPage) -> None:
    """Each press counts, and what is shown on the way is right too."""
    page.wait_for_frame(0)
    page.press(*RIGHT * 200)
    page.wait_for_frame(200)
    page.press(END, *LEFT * 150)
    page.wait_for_frame(LAST - 150)


@pytest.mark.slow
def test_a_late_picture_does_not_replace_a_later_one(page: DrivenPage, served: Served) -> None:
    """What was asked for last is what stays."""
    page.wait_for_frame(0)
    served.held.add("/frames/100.jpg")
    page.type("frame", "100")
    page.wait(lambda: any("/frames/100.jpg" in request for request in served.requests), "the request")
    assert page.read() == (0, True)
    page.type("frame", "130")
    page.wait_for_frame(130)
    page.run(NOTE_FRAMES, "time:1")
    served.release()
    page.wait(lambda: page.run(HAS_ARRIVED, "/frames/100.jpg"), "the late picture")
    page.driver.execute_async_script("setTimeout(arguments[0], 300)")  # until it is decoded
    assert page.run("return window.seen") == []
    assert page.read() == (130, False)
    page.press(RIGHT)
    page.wait_for_frame(131)


@pytest.mark.slow
def test_jumps(page: DrivenPage) -> None:
    """To keyframes, to both ends, and along the slider."""
    page.wait_for_frame(0)
    page.press(PAGE_DOWN)
    page.wait_for_frame(GOP)
    page.press(RIGHT, PAGE_UP)
    page.wait_for_frame(GOP)
    page.press(PAGE_UP)
    page.wait_for_frame(0)
    page.press(PAGE_UP)
    page.wait(lambda: "no keyframe" in page.text("notice"), "a word about the missing keyframe")
    page.press(END, PAGE_DOWN)
    page.wait_for_frame(LAST)
    page.click("position")  # its middle
    page.wait(lambda: abs((page.read()[0] or 0) - LAST / 2) < 10, "a frame of the middle")
    page.press(HOME)
    page.wait_for_frame(0)


@pytest.fixture
def few_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the server list few keyframes in an answer."""
    monkeypatch.setattr(facts, "MOST_KEYFRAMES", 7)


@pytest.mark.slow
@pytest.mark.usefixtures("few_listed")
def test_more_keyframes_than_an_answer_lists(page: DrivenPage) -> None:
    """The page asks for the others too: each has its tick, and the keys find it."""
    page.open("#frame=349")
    page.wait_for_frame(349)
    page.press(PAGE_DOWN)
    page.wait_for_frame(350)
    page.press(PAGE_UP, PAGE_UP)
    page.wait_for_frame(300)
    page.press(END, PAGE_UP)
    page.wait_for_frame(575)
    page.press(PAGE_DOWN)
    page.wait(lambda: "no keyframe after" in page.text("notice"), "a word about the missing keyframe")
    page.wait(lambda: len(page.run(TICKED)) == (LAST + 1) // GOP, "all ticks")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("typed", "index"), [("0:04.92", 123), ("4.9", 122), ("0:23.960", LAST), ("0", 0), ("0:00:10", 250)]
)
def test_a_time_leads_to_the_frame_shown_then(page: DrivenPage, typed: str, index: int) -> None:
    """As minutes or as seconds. A time between two frames means the earlier one."""
    page.wait_for_frame(0)
    page.type("time", typed)
    page.wait_for_frame(index)
    page.press(RIGHT)
    page.wait_for_frame(min(index + 1, LAST))


@pytest.mark.slow
def test_a_number_leads_to_its_frame(page: DrivenPage) -> None:
    """What is no number, or past the end, is said and changes nothing."""
    page.wait_for_frame(0)
    page.type("frame", "345")
    page.wait_for_frame(345)
    for wrong in ("600", "-1", "three", ""):
        page.type("frame", wrong)
        assert f"“{wrong}” does not exist" in page.text("input-message")
    page.press(ESCAPE)
    page.type("time", "1:00")
    page.wait(lambda: "“1:00” is invalid" in page.text("input-message"), "a word about the time")
    page.press(ESCAPE, RIGHT)
    page.wait_for_frame(346)
    assert not page.text("input-message")


@pytest.fixture
def uneven(tmp_path: Path) -> Iterator[tuple[Served, list[int]]]:
    """Serve a clip whose frames are shown for 1 to 5 ticks of 40 ms."""
    pts = [0, *itertools.accumulate(1 + index % 5 for index in range(99))]
    make_clip(tmp_path / "uneven.mp4", frames=100, pts=pts)
    with Served({"uneven.mp4": tmp_path / "uneven.mp4"}) as served:
        yield served, pts


@pytest.mark.slow
def test_times_of_a_varying_rate(page: DrivenPage, uneven: tuple[Served, list[int]]) -> None:
    """Each frame's own time leads to it, and so does any moment until the next."""
    served, pts = uneven
    page.url = served.url
    page.open()
    page.wait_for_frame(0)
    for index in (1, 4, 5, 50, 98, 99):
        for seconds in (pts[index] * 0.04, pts[index] * 0.04 + 0.03):
            page.type("time", f"{seconds:.3f}")
            page.wait_for_frame(index)
        page.wait(lambda at=pts[index]: page.text("fact-pts") == f"{at * 0.04:.6f} s", "the frame's time")  # type: ignore[misc]


@pytest.mark.slow
def test_a_video_without_times(page: DrivenPage, tmp_path: Path) -> None:
    """It is stepped through and played at its average rate, and a typed time leads nowhere."""
    make_clip(tmp_path / "raw.h264", frames=30, container="h264")
    with Served({"raw.h264": tmp_path / "raw.h264"}) as served:
        page.url = served.url
        page.open("#frame=20")
        page.wait_for_frame(20)
        page.wait(lambda: page.text("fact-pts") == "unknown", "the time")
        page.type("time", "0")
        page.wait(
            lambda: "times of these frames are unknown" in page.text("input-message"), "a word about it"
        )
        page.press(ESCAPE)
        assert play(page, "time:1")[-1] == 29


@pytest.mark.slow
@pytest.mark.parametrize("pace", ["time:1", "time:2", "frames:60"])
def test_playing(page: DrivenPage, pace: str) -> None:
    """Frames follow each other in order, and the last one ends it. At a pace by frames, none is left out."""
    page.open("#frame=550")
    page.wait_for_frame(550)
    seen = play(page, pace)
    assert seen == sorted(seen)
    kind, speed = pace.split(":")
    if kind == "frames":
        assert seen == [*range(551, LAST + 1)]
    else:
        assert page.run("return window.seconds") >= (LAST - 550) * 0.04 / int(speed)


@pytest.mark.slow
def test_playing_a_varying_rate(page: DrivenPage, uneven: tuple[Served, list[int]]) -> None:
    """It takes as long as the frames' own times say; a busy machine may make it longer."""
    served, pts = uneven
    page.url = served.url
    page.open("#frame=89")
    page.wait_for_frame(89)
    assert play(page, "time:1")[-1] == 99
    assert page.run("return window.seconds") >= (pts[99] - pts[89]) * 0.04


def play(page: DrivenPage, pace: str) -> list[int]:
    """Play to the end, and return the frames shown."""
    page.run(NOTE_FRAMES, pace)
    page.press(SPACE)
    play = page.element("play")
    page.wait(lambda: play.get_attribute("aria-label") == "Pause", "playback")
    page.wait(lambda: (page.read(), play.get_attribute("aria-label") == "Play")[1], "the end of playback")
    seen: list[int] = page.run("return window.seen")
    return seen


@pytest.mark.slow
def test_playing_waits_for_a_late_frame(page: DrivenPage, served: Served) -> None:
    """It is not left out, and the pace goes on from it."""
    served.held.update({"/chunks/", "/frames/585.jpg"})
    page.open("#frame=580")
    page.wait_for_frame(580)
    page.run(NOTE_FRAMES, "time:1")
    page.press(SPACE)
    page.wait(lambda: page.read() == (584, True), "the frame before the late one")
    served.release()
    page.wait_for_frame(LAST)
    seen = page.run("return window.seen")
    assert seen[:5] == [581, 582, 583, 584, 585]
    assert seen == sorted(seen)


@pytest.mark.slow
def test_playing_can_be_paused(page: DrivenPage) -> None:
    """The frame shown stays, and a step from it is a step."""
    page.wait_for_frame(0)
    page.press(SPACE)
    page.wait(lambda: (page.read()[0] or 0) > 5, "playback to move")
    page.press(SPACE)
    paused = page.wait_until_settled()
    page.press(RIGHT)
    page.wait_for_frame(paused + 1)


@pytest.mark.slow
def test_a_link_leads_to_its_frame(page: DrivenPage) -> None:
    """With and without the video's name; the address follows, so that a reload shows the same."""
    for link in ("#frame=77", "#video=steady.mp4&frame=77", "#frame=77&video=steady.mp4"):
        page.open(link)
        page.wait_for_frame(77)
    page.press(RIGHT)
    page.wait_for_frame(78)
    page.wait(lambda: page.driver.current_url.endswith("#video=steady.mp4&frame=78"), "the address")
    page.driver.refresh()
    page.wait_for_frame(78)
    page.run("location.hash = '#frame=5'")
    page.wait_for_frame(5)
    page.open("#frame=100000")
    page.wait_for_frame(LAST)


@pytest.mark.slow
def test_a_video_that_does_not_exist_is_named(page: DrivenPage) -> None:
    """Instead of another one."""
    page.open("#video=none.mp4&frame=3")
    page.wait(lambda: "cannot be opened" in page.text("page-message"), "a word about the video")
    assert not page.is_shown("player")
    page.run("location.hash = '#video=steady.mp4&frame=3'")
    page.wait_for_frame(3)
    assert not page.text("page-message")
