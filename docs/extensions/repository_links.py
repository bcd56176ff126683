"""Turn links from pages into the repository into its addresses, and show its own pages in the site.

On GitHub, a page links to an example or a table of results by its path. The site contains only docs/.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

REPOSITORY = "https://github.com/asyncframes/asyncframes-video"

INCLUDED = {"project/changelog": "CHANGELOG.md", "project/contributing": "CONTRIBUTING.md"}
"""Pages whose text is a file of the repository's root."""

# A picture is copied into the site from wherever it is.
_LINK = re.compile(r"(?P<picture>!\[[^]]*\]\([^)]*\))|(?<=\]\()(?!\w+:|#)(?P<target>[^)#\s]+)")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("source-read", _rewrite)
    return {"version": "1", "parallel_read_safe": True}


def _rewrite(app: Sphinx, name: str, source: list[str]) -> None:
    docs, page = Path(app.srcdir), Path(app.env.doc2path(name))
    if page.suffix != ".md":
        return
    if name in INCLUDED:
        file = docs.parent / INCLUDED[name]
        source[0], folder = file.read_text(), file.parent
    else:
        folder = page.parent

    def rewritten(link: re.Match[str]) -> str:
        return link["picture"] or _address(folder / link["target"], docs=docs, page=page)

    source[0] = _LINK.sub(rewritten, source[0])


def _address(target: Path, *, docs: Path, page: Path) -> str:
    target = Path(os.path.normpath(target))
    pages = {docs.parent / file: docs / f"{name}.md" for name, file in INCLUDED.items()}
    target = pages.get(target, target)
    if target.is_relative_to(docs):
        return Path(os.path.relpath(target, page.parent)).as_posix()
    kind = "tree" if target.is_dir() else "blob"
    return f"{REPOSITORY}/{kind}/main/{target.relative_to(docs.parent).as_posix()}"
