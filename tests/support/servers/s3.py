"""S3 servers in processes of their own: moto's, and ``rclone serve s3``."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

ACCESS: dict[str, Any] = {
    "access_key_id": "testing",
    "secret_access_key": "open-sesame",
    "region": "us-east-1",
}
BUCKET = "clips-of-mine"


@dataclass(frozen=True)
class S3Server:
    """Where a running server listens."""

    endpoint: str

    def request(
        self,
        method: str,
        path: str,
        data: bytes | None = None,
        extra: dict[str, str] | None = None,
        *,
        service: str = "s3",
    ) -> bytes:
        """Send a request that is signed by nobody; moto looks at the scope alone."""
        kind = "application/octet-stream" if service == "s3" else "application/x-www-form-urlencoded"
        headers = {
            "Authorization": f"AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/{service}/aws4_request",
            "Content-Type": kind,
            **(extra or {}),
        }
        request = urllib.request.Request(  # noqa: S310 - our own server
            self.endpoint + quote(path, safe="/?=&"),
            data=data,
            method=method,
            headers=headers,
        )
        with urllib.request.urlopen(request, timeout=20) as reply:  # noqa: S310
            body: bytes = reply.read()
        return body

    def put(self, key: str, data: bytes, *, public: bool = False) -> str:
        """Store an object and return its URL."""
        self.request("PUT", f"/{BUCKET}/{key}", data, {"x-amz-acl": "public-read"} if public else None)
        return f"s3://{BUCKET}/{key}"


@contextmanager
def moto_server() -> Iterator[S3Server]:
    """Run moto's server, with one bucket."""
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with running_process(command, r"Running on (http://[\d.:]+)") as endpoint:
        server = S3Server(endpoint)
        server.request("PUT", f"/{BUCKET}")
        yield server


@contextmanager
def rclone_server(directory: Path, *, keys: bool = True) -> Iterator[S3Server]:
    """Run ``rclone serve s3`` over a directory, whose directories are the buckets; for all without keys."""
    beside = Path(sys.executable).with_name("rclone")
    program = str(beside) if beside.exists() else shutil.which("rclone")
    assert program is not None
    auth = ["--auth-key", f"{ACCESS['access_key_id']},{ACCESS['secret_access_key']}"] if keys else []
    command = [program, "serve", "s3", "--addr", "127.0.0.1:0", *auth, str(directory)]
    with running_process(command, r"on \[(http://[\d.:]+)/?\]") as endpoint:
        yield S3Server(endpoint)


START_SECONDS = 100
"""How long a server may take to start. On a machine whose disk is busy some took more than 30 s."""


@contextmanager
def running_process(command: list[str], announcement: str) -> Iterator[str]:
    """Run a server, and give what its announcement captures."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "log")
        with path.open("w") as log:
            process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=directory)
        try:
            deadline = time.monotonic() + START_SECONDS
            while not (found := re.search(announcement, path.read_text())):
                assert process.poll() is None, path.read_text()
                assert time.monotonic() < deadline, path.read_text()
                time.sleep(0.05)
            yield found[1]
        finally:
            process.terminate()
            process.wait()
