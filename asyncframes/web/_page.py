"""The page, whose files are in the package."""

from __future__ import annotations

import asyncio
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from asyncframes.web._caching import is_unchanged, unchanged
from asyncframes.web._open.opened import tag_of
from asyncframes.web._problems import ProblemError
from asyncframes.web._values import Reply, WebRequest

FOLDER = Path(__file__).parent / "page"
INDEX = "index.html"

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# Systems map these differently, and a browser runs no module of another type.
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file of the page."""

    body: bytes
    content_type: str
    tag: str


class Page:
    """Serves the files of the page from memory. Paths that are not among them lead nowhere."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self._files: Mapping[str, PageFile] | None = None

    async def reply(self, request: WebRequest, name: str) -> Reply:
        """Return a file by its path below the folder.

        Raises
        ------
        ProblemError
            There is no such file.
        """
        if self._files is None:
            self._files = await asyncio.to_thread(_read, self._folder)
        found = self._files.get(name)
        if found is None:
            raise ProblemError(404, "there is no such file")
        headers = {
            "Content-Type": found.content_type,
            "Content-Security-Policy": _POLICY,
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-cache",
            "ETag": found.tag,
        }
        return (
            unchanged(headers)
            if is_unchanged(request, found.tag)
            else Reply(headers=headers, body=found.body)
        )


def _read(folder: Path) -> dict[str, PageFile]:
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): _page_file(path) for path in paths}


def _page_file(path: Path) -> PageFile:
    body = path.read_bytes()
    kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return PageFile(body, kind, tag_of(body))
