"""Run gcp-storage-emulator, and give its XML API what it lacks: ``python _gcs_server.py BUCKET``.

obstore reads by the XML API. Of that the emulator has a bare GET: no `Last-Modified`, no `ETag`, no
`If-Match`, no 416, no HEAD, no bucket whose name is quoted, and no empty upload. These are added here, from
what the emulator knows of the object, as the real service has them:
https://cloud.google.com/storage/docs/xml-api/get-object-download
"""

from __future__ import annotations

import logging
import re
import sys
import time
from datetime import datetime
from email.utils import format_datetime
from http import HTTPStatus
from typing import Any

from gcp_storage_emulator import server
from gcp_storage_emulator.exceptions import NotFound
from gcp_storage_emulator.handlers import objects

_read_data = server._read_data


def download(request: Any, response: Any, storage: Any, *_: Any, **__: Any) -> None:
    """Answer a GET as the emulator does, with the headers of the real service."""
    try:
        known = storage.get_file_obj(request.params["bucket_name"], request.params["object_id"])
    except NotFound:
        response.status = HTTPStatus.NOT_FOUND
        return
    etag = f'"{known["md5Hash"]}"'
    response["ETag"] = etag
    response["Last-Modified"] = format_datetime(datetime.fromisoformat(known["updated"]), usegmt=True)
    response["x-goog-generation"] = str(known["generation"])
    asked = re.match(r"bytes=(\d+)-", request.get_header("range", ""))
    if request.get_header("if-match", etag) != etag:
        response.status = HTTPStatus.PRECONDITION_FAILED
    elif asked and int(asked[1]) >= int(known["size"]):
        response.status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
    else:
        objects.download(request, response, storage)


class Handler(server.RequestHandler):  # type: ignore[misc]  # the emulator has no types
    """The emulator's, with HEAD and with quoted names of buckets."""

    def parse_request(self) -> bool:
        understood: bool = super().parse_request()
        if understood:
            self.path: str = self.path.replace("%2D", "-")
        return understood

    def do_HEAD(self) -> None:  # noqa: N802 - as http.server calls it
        server.Router(self).handle("HEAD")

    def send_body(self, content: bytes) -> None:
        """Send what a GET sends; nothing after the head of a HEAD."""
        if self.command != "HEAD":
            self.wfile.write(content)


def read_data(request_handler: Any, query: Any) -> Any:
    """Take an upload of no bytes for what it is."""
    if request_handler.headers.get("Content-Length") == "0":
        return b""
    return _read_data(request_handler, query)


def close(response: Any) -> None:
    """Send a response of the emulator's, its body only where there is one."""
    content = response._content
    body = content.encode() if isinstance(content, str) else content
    handler = response._handler
    handler.send_response(response.status.value, response.status.phrase)
    for name, value in {**response._headers, "Content-Length": str(len(body))}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.send_body(body)


def main(bucket: str) -> None:
    """Serve on any free port, and say on which."""
    logging.basicConfig(level=logging.WARNING)
    *others, (public, methods) = server.HANDLERS
    server.HANDLERS = (*others, (public, {**methods, "GET": download, "HEAD": download}))
    server.RequestHandler = Handler
    server.Response.close = close
    server._read_data = read_data
    running = server.create_server("127.0.0.1", 0, in_memory=True, default_bucket=bucket)
    with running:
        port = running._api._httpd.server_port
        print(f"gcp-storage-emulator on http://127.0.0.1:{port}", flush=True)  # noqa: T201 - the tests wait for it
        while True:
            time.sleep(60)


if __name__ == "__main__":
    main(*sys.argv[1:])
