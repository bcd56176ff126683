"""The page outlives its server, and says what it cannot show."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import av
import pytest

from asyncframes.web import WebLimits
from tests.browser.conftest import FRAMES
from tests.browser.served import Served
from tests.support.streams.clips import clip_bytes, make_clip

if TYPE_CHECKING:
    from tests.browser.driven import DrivenPage

pytestmark = pytest.mark.slow

LAST = FRAMES - 1
LEFT, RIGHT, HOME, END = "\ue012", "\ue014", "\ue011", "\ue010"


def lose_server(page: DrivenPage, served: Served) -> None:
    """Stop the server, and ask for a frame that is not here."""
    served.stop()
    page.press(END)
    page.wait(lambda: page.is_shown("connection"), "the banner")


def test_losing_the_server_and_getting_it_back(page: DrivenPage, served: Served) -> None:
    """Frames that are here can be stepped through. What was asked for comes when the server is back."""
    page.wait_for_frame(0)
    page.press(RIGHT, RIGHT)
    page.wait_for_frame(2)
    page.wait(lambda: page.run("return performance.getEntriesByType('resource').length") > 5, "prefetching")
    lose_server(page, served)
    assert page.read() == (2, True)
    served.start()
    page.wait_for_frame(LAST)
    page.wait(lambda: not page.is_shown("connection"), "the banner to go")
    page.press(LEFT)
    page.wait_for_frame(LAST - 1)


def test_trying_now(page: DrivenPage, served: Served) -> None:
    """Waits get longer, and a button ends them."""
    page.wait_for_frame(0)
    lose_server(page, served)
    served.start()
    page.click("reconnect")
    page.wait_for_frame(LAST)


def test_opening_the_page_of_a_server_that_stops(page: DrivenPage, served: Served) -> None:
    """A link that is followed while the server is away is followed in the end."""
    page.wait_for_frame(0)
    lose_server(page, served)
    page.run("location.hash = '#frame=321'")
    served.start()
    page.wait_for_frame(321)


def test_another_video_under_the_same_name(page: DrivenPage, served: Served, tmp_path: Path) -> None:
    """Nothing of the old one is shown after the server is back."""
    page.wait_for_frame(0)
    lose_server(page, served)
    make_clip(tmp_path / "other.mp4", frames=30)
    served.videos["steady.mp4"] = tmp_path / "other.mp4"
    served.start()
    page.wait_for_frame(29)
    page.wait(lambda: page.text("fact-frame") == "29 of 30 (0 to 29)", "the other video")
    assert page.text("fact-size").startswith("96 × 64")
    page.press(HOME)
    page.wait_for_frame(0)
    assert page.run("return document.getElementById('picture').width") == 96


def test_a_server_that_is_busy(page: DrivenPage, clip: Path) -> None:
    """It refuses requests for a moment, and the page asks again."""
    with Served({"steady.mp4": clip}, WebLimits(max_requests=1, max_queued=0)) as served:
        page.url = served.url
        page.open()
        page.wait_for_frame(0)
        page.press(*RIGHT * 20)
        page.wait_for_frame(20)


def test_a_request_that_breaks_each_time(page: DrivenPage, served: Served) -> None:
    """The page gives up on it, as the server answers others."""
    page.wait_for_frame(0)
    served.broken.add("/frames/500.jpg")
    page.type("frame", "500")
    page.wait(lambda: "Frame 500 cannot be shown" in page.text("stage-message"), "a word about the frame")
    page.type("frame", "400")
    page.wait_for_frame(400)
    page.wait(lambda: not page.is_shown("connection"), "the banner to go")


@pytest.fixture
def damaged(tmp_path: Path) -> Iterator[Served]:
    """Serve a clip that does not decode from frame 13 to the next keyframe."""
    data = bytearray(clip_bytes(frames=36, gop=12, b_frames=0))
    with av.open(io.BytesIO(data), "r") as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][13]
    assert packet.pos is not None
    data[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    path = tmp_path / "damaged.mp4"
    path.write_bytes(data)
    with Served({"damaged.mp4": path}) as served:
        yield served


def test_a_damaged_frame(page: DrivenPage, damaged: Served) -> None:
    """Its place has a message and no picture; the frame before it is shown again."""
    page.url = damaged.url
    page.open("#frame=12")
    page.wait_for_frame(12)
    page.press(RIGHT)
    page.wait(lambda: "Frame 13 cannot be shown" in page.text("stage-message"), "a word about the frame")
    assert page.text("fact-frame").startswith("13 ")
    assert not page.is_shown("picture")
    page.press(LEFT)
    page.wait_for_frame(12)
    assert page.is_shown("picture")
    assert not page.is_shown("stage-message")
