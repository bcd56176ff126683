"""A loopback server that plays a Supervisely platform: what it knows of videos, and their storage."""

from __future__ import annotations

import json
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from tests.support.servers.web import Reply, Request, RunningServer, Served

TOKEN = "tok3n" * 8
INFO_PATH = "/public/api/v3/videos.info"
INTERNAL = "http://minio.internal:9000"
"""Where the platform itself finds its storage; nobody outside does."""


class Platform(RunningServer):
    """Knows videos by number, and gives them to those who bring the token.

    Attributes
    ----------
    info_replies
        How the next questions about videos are answered, before the right way.
    """

    def __init__(self) -> None:
        super().__init__()
        self.info_replies: list[Reply] = []
        self._videos: dict[int, dict[str, Any]] = {}

    @property
    def address(self) -> str:
        return self.url("")

    @property
    def storage_requests(self) -> list[Request]:
        return [request for request in self.requests if not request.path.startswith("/public/api/")]

    def add_video(self, video_id: int, data: bytes, *, name: str = "clip.mp4") -> Served:
        """Store a video; returns what serves its bytes."""
        path = f"/h5un-public/videos/{video_id}/{quote(PurePath(name).name)}"
        self._videos[video_id] = {"id": video_id, "name": name, "fullStorageUrl": INTERNAL + path}
        return self.serve(path, data, required={"x-api-key": TOKEN})

    def add_unprocessed(self, video_id: int) -> None:
        """Know a video that is not in storage yet."""
        self._videos[video_id] = {"id": video_id, "name": "new.mp4", "fullStorageUrl": None}

    def forward(self, video_id: int, location: str) -> None:
        """Redirect whoever asks for the bytes of a video."""
        self.add_video(video_id, b"").default = Reply(status=302, headers={"Location": location}, body=b"")

    def served(self, request: Request) -> Served | None:
        if request.path != INFO_PATH:
            return super().served(request)
        if self.info_replies:
            return Served(b"", default=self.info_replies.pop(0))
        if request.headers.get("x-api-key") != TOKEN:
            return Served(b"", default=Reply(status=403, body=b'{"error": "wrong token"}'))
        info = self._videos.get(json.loads(request.body)["id"])
        if info is None:
            return Served(b"", default=Reply(status=404, body=b'{"error": "not found"}'))
        return Served(json.dumps(info).encode(), etag=None, content_type="application/json")
