"""The page in headless Chromium: keys go in, and what is seen comes out."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from tests.support.streams.clips import painted_index

T = TypeVar("T")

# A busy machine may take this long for anything.
PATIENCE_SECONDS = 30.0

# One task of the browser reads all, so that nothing changes between the picture and the number.
READ_SCRIPT = """
const [stage, picture, frame] = ["stage", "picture", "fact-frame"].map((id) => document.getElementById(id));
const number = picture.checkVisibility({ visibilityProperty: true }) ? frame.textContent : "";
return [number, picture.toDataURL("image/png"), stage.getAttribute("aria-busy") === "true"];
"""


def start_chromium(chromium: str, driver: str, downloads: Path) -> webdriver.Chrome:
    """Start Chromium without a window."""
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    # Its own sandbox and shared memory need more than containers allow.
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))


class DrivenPage:
    """The page, as somebody at the keyboard sees it.

    Attributes
    ----------
    driver
        The browser.
    url
        The page's address.
    """

    def __init__(self, driver: webdriver.Chrome, url: str) -> None:
        self.driver = driver
        self.url = url

    def open(self, hash_part: str = "") -> None:
        """Load the page, at a link."""
        self.leave()
        self.driver.get(self.url + hash_part)

    def leave(self) -> None:
        """Close the page."""
        self.driver.get("about:blank")

    def press(self, *keys: str) -> None:
        """Press keys, wherever the focus is."""
        ActionChains(self.driver, duration=0).send_keys(*keys).perform()

    def press_with(self, modifier: str, key: str) -> None:
        ActionChains(self.driver, duration=0).key_down(modifier).send_keys(key).key_up(modifier).perform()

    def element(self, name: str) -> WebElement:
        return self.driver.find_element(By.ID, name)

    def click(self, name: str) -> None:
        self.element(name).click()

    def text(self, name: str) -> str:
        return str(self.element(name).get_property("textContent"))

    def value(self, name: str) -> str:
        return str(self.element(name).get_property("value"))

    def is_shown(self, name: str) -> bool:
        return self.element(name).is_displayed()

    def type(self, name: str, text: str) -> None:
        """Replace what a field contains, and press Enter."""
        field = self.element(name)
        field.clear()
        field.send_keys(text, "\n")

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def read(self) -> tuple[int | None, bool]:
        """Return the number shown and whether another frame loads, and compare number and picture.

        The number is ``None`` without a picture.
        """
        label, picture, is_busy = self.run(READ_SCRIPT)
        if not label:
            return None, is_busy
        number = int(label.partition(" ")[0])
        image = Image.open(io.BytesIO(base64.b64decode(picture.partition(",")[2])))
        assert painted_index(np.asarray(image.convert("RGB"))) == number
        return number, is_busy

    def wait_for_frame(self, index: int) -> None:
        """Wait until a frame is shown, and check every picture until then."""
        self.wait(lambda: self.read() == (index, False), f"frame {index} to be shown")

    def wait_until_settled(self) -> int:
        """Wait until nothing loads, and return the number shown."""
        self.wait(lambda: not self.read()[1], "the picture")
        number = self.read()[0]
        assert number is not None
        return number

    def wait(self, condition: Callable[[], T], what: str) -> T:
        """Wait until a condition holds, and return its outcome."""
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            if outcome := condition():
                return outcome
            time.sleep(0.01)
        raise AssertionError(f"waited in vain for {what}; the browser says {self.complaints()}")

    def resize(self, width: int, height: int) -> None:
        """Give the page a size in CSS pixels, smaller than windows may be."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def prefer(self, scheme: Literal["light", "dark"]) -> None:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def complaints(self) -> list[str]:
        """Return what the browser logged since the last call: errors of scripts, and what it refused."""
        return [entry["message"] for entry in self.driver.get_log("browser")]  # type: ignore[no-untyped-call]
