"""Measure the page of `asyncframes serve` in Chromium: from a key to its picture, and what opening fetches.

::

    python -m benchmarks.web.bench_page
    python -m benchmarks.web.bench_page --over-link --seconds 6700
    python -m benchmarks.web.bench_page --over-link --film long.mp4

The first two loop the shipped clip, of 640x360. The first serves the file itself and steps through it, a
key at a time. A step counts as prefetched if the page asked for no frame for it. Times begin when the
browser gets the key. They end when the number has changed, and after the browser has painted that. With
``--over-link``, the server reads the film over a link of 50 ms and 100 Mbit/s. The figures are seconds and
bytes of the film until the first frame and the keyframes are there, and bytes until the page is quiet.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from benchmarks.bench_network import make_film, over_link

if TYPE_CHECKING:
    from tests.browser.driven import DrivenPage

Steps: TypeAlias = list[dict[str, Any]]

RIGHT, LEFT = "\ue014", "\ue012"

# Notes for each key when it came, when the number had changed, and when that was painted.
NOTE_STEPS = """
window.steps = [];
const frame = document.getElementById("fact-frame");
addEventListener("keydown", (event) => steps.push({ key: event.timeStamp }), true);
new MutationObserver(() => {
  const step = steps.at(-1);
  step.changed = performance.now();
  requestAnimationFrame(() => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => { step.painted = performance.now(); };
    port2.postMessage(null);
  });
}).observe(frame, { childList: true });
"""
FRAMES_ASKED_FOR = """
return performance.getEntriesByType("resource").filter(({ name }) => name.includes("/frames/")).length;
"""
HAS_KEYFRAMES = """
return performance.getEntriesByType("resource").some(({ name, responseEnd }) =>
  name.includes("/keyframes") && responseEnd > 0);
"""
FETCHED = "fetch(new URL(arguments[0], document.baseURI)).then((r) => r.json()).then(arguments[1])"


@contextmanager
def served(source: str) -> Iterator[str]:
    """Run `asyncframes serve`, and yield the address of its page."""
    command = [sys.executable, "-m", "asyncframes", "serve", source, "--no-table-cache"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            found = re.search(r"http://\S+", server.stdout.readline())
            assert found is not None
            yield found[0]
        finally:
            server.terminate()


@contextmanager
def opened(address: str) -> Iterator[DrivenPage]:
    """Run Chromium, and yield the page at an address, not yet opened."""
    from tests.browser.driven import DrivenPage, start_chromium

    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or chromedriver is None:
        raise SystemExit("chromium and chromedriver are needed; .ci/debian-packages installs them")
    with tempfile.TemporaryDirectory() as downloads:
        driver = start_chromium(chromium, chromedriver, Path(downloads))
        try:
            page = DrivenPage(driver, address)
            page.resize(1280, 900)
            yield page
        finally:
            driver.quit()


def shows_a_frame(page: DrivenPage) -> bool:
    return bool(page.text("fact-frame")) and page.element("stage").get_attribute("aria-busy") == "false"


def step(
    page: DrivenPage, count: int, pause_seconds: float
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Step forward, then back; return the steps that were prefetched, and the others."""
    page.wait(lambda: shows_a_frame(page), "the first frame")
    time.sleep(3)
    page.run(NOTE_STEPS)
    found: tuple[Steps, Steps] = ([], [])
    for key in [RIGHT] * count + [LEFT] * count:
        before = page.run(FRAMES_ASKED_FOR)
        page.press(key)
        page.wait(lambda: page.run("return Boolean(steps.at(-1)?.painted)"), "the picture")
        found[page.run(FRAMES_ASKED_FOR) > before].append(page.run("return steps.at(-1)"))
        time.sleep(pause_seconds)
    return found


def row(name: str, steps: Steps) -> str:
    """Write percentiles as a row of a table, in milliseconds."""
    cells = []
    for end in ("changed", "painted"):
        spent = [one[end] - one["key"] for one in steps]
        cells += [f"{value:.1f}" for value in np.percentile(spent, [50, 95, 100])] if spent else ["", "", ""]
    return f"| {name} | {len(steps)} | " + " | ".join(cells) + " |"


def measure_steps(arguments: argparse.Namespace, film: Path) -> None:
    with served(str(film)) as address, opened(address) as page:
        page.open()
        prefetched, others = step(page, arguments.steps, arguments.pause)
    print("| step, ms | number | changed p50 | p95 | most | painted p50 | p95 | most |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    print(row("prefetched", prefetched))
    print(row("not prefetched", others))


def measure_opening(arguments: argparse.Namespace, film: Path) -> None:
    megabytes = film.stat().st_size / 1e6

    def fetched(page: DrivenPage) -> float:
        stats = page.driver.execute_async_script(FETCHED, "v/clip.mp4/stats")
        return float(stats["bytes_fetched"]) / 1e6

    def call(url: str) -> float:
        with served(url) as address, opened(address) as page:
            started = time.perf_counter()
            page.open()
            page.wait(lambda: shows_a_frame(page), "the first frame")
            page.wait(lambda: page.run(HAS_KEYFRAMES), "the keyframes")
            seconds = time.perf_counter() - started
            print(f"{megabytes:.0f} MB: usable after {seconds:.1f} s and {fetched(page):.2f} MB", end=", ")
            time.sleep(5)
            print(f"quiet after {fetched(page):.2f} MB")
        return seconds

    over_link(film, arguments, call)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--steps", type=int, default=200, help="forward, and as many back")
    parser.add_argument("--pause", type=float, default=0.05, help="seconds from a picture to the next key")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the film")
    parser.add_argument("--film", type=Path, help="an MP4 to take instead of the looped clip")
    parser.add_argument("--over-link", action="store_true", help="measure what opening the page fetches")
    parser.add_argument("--latency", type=float, default=0.05, help="of a round trip, in seconds")
    parser.add_argument("--megabits", type=float, default=100.0, help="of the link, a second")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        film = Path(scratch, "clip.mp4")
        if arguments.film is None:
            make_film(film, arguments.seconds)
        else:
            film.symlink_to(arguments.film.absolute())
        (measure_opening if arguments.over_link else measure_steps)(arguments, film)


if __name__ == "__main__":
    main()
