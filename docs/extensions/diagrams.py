"""Draw ``mermaid`` blocks as SVG while the site is built, so that pages load no program to show them.

Mermaid runs in Chromium: `.ci/npm-packages` and `.ci/debian-packages` install both. Where one is absent,
pages show the text of a diagram, except where CI is set, which is an error.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from functools import cache
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.transforms.post_transforms import SphinxPostTransform

MERMAID = Path(__file__).parents[2] / ".ci" / "npm" / "node_modules" / "mermaid" / "dist" / "mermaid.min.js"
SETTINGS = (
    "{startOnLoad: false, htmlLabels: false, "
    "flowchart: {htmlLabels: false, useMaxWidth: false, wrappingWidth: 400}, sequence: {useMaxWidth: false}}"
)
ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.add_post_transform(Diagrams)
    app.connect("build-finished", lambda *_: _close())
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": False}


class Diagrams(SphinxPostTransform):
    """Replaces the text of each diagram by its picture."""

    default_priority = 10

    def run(self, **kwargs: Any) -> None:
        """Draw the diagrams of a page."""
        for block in [*self.document.findall(nodes.literal_block)]:
            if block.get("language") == "mermaid":
                picture = self._picture(block.astext())
                if picture is None:
                    block["language"] = "text"
                else:
                    block.replace_self(picture)

    def _picture(self, text: str) -> nodes.Node | None:
        browser = _browser()
        if self.app.builder.format != "html" or browser is None:
            return None
        name = f"diagram-{hashlib.sha256(text.encode()).hexdigest()[:12]}.svg"
        folder = Path(self.app.outdir, self.app.builder.imagedir)
        folder.mkdir(parents=True, exist_ok=True)
        svg = browser.execute_async_script(
            "const [text, done] = arguments;"
            f"mermaid.initialize({SETTINGS});"
            "mermaid.render('drawn', text).then(({svg}) => done(svg), error => done('error: ' + error));",
            text,
        )
        if not svg.startswith("<svg"):
            raise ExtensionError(f"a diagram of {self.env.docname} cannot be drawn: {svg}")
        (folder / name).write_text(svg)
        address = self.app.builder.get_relative_uri(self.env.docname, "index").rpartition("/")[0]
        path = "/".join(part for part in (address, self.app.builder.imagedir, name) if part)
        return nodes.raw("", f'<p class="diagram"><img src="{path}" alt="Diagram"></p>', format="html")


@cache
def _browser() -> Any:
    """Return Chromium with Mermaid loaded, or None where it cannot be."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None or not MERMAID.exists():
        if "CI" in os.environ:
            raise ExtensionError("diagrams need what .ci/debian-packages and .ci/npm-packages install")
        return None
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ARGUMENTS:
        options.add_argument(argument)
    browser = webdriver.Chrome(options, webdriver.ChromeService(driver))
    # A script element, because what this call runs is the body of a function.
    load = "const script = document.createElement('script'); script.text = arguments[0];"
    load += "document.head.append(script)"
    browser.execute_script(load, MERMAID.read_text())
    return browser


def _close() -> None:
    if _browser.cache_info().currsize and (browser := _browser()) is not None:
        browser.quit()
    _browser.cache_clear()
