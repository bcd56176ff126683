"""The service of examples/upload_service.py in a process of its own, under uvicorn, and what it does.

Uploads with the marks of `tests.support.streams.uploads` have its decoding processes crash or spin.
"""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from asyncframes._isolation import worker
from tests.support.streams.uploads import MARKS

ROOT = Path(__file__).parents[3]
NAME = "X-Upload"
"""Header with the name of an upload, under which its status is noted."""

_HOSTILE_CHILD = f"""
import ctypes
from asyncframes._isolation.child import parents_bytes
answer = parents_bytes.Reads.answer
def hostile(self, message):
    if {MARKS["crash"]!r} in message.body:
        ctypes.string_at(0)
    while {MARKS["spin"]!r} in message.body:
        pass
    answer(self, message)
parents_bytes.Reads.answer = hostile
main("""

_MOST_SOURCE_BYTES = 4 * 1024**2
_START_SECONDS = 100
_END_SECONDS = 100

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


def load_service() -> ModuleType:
    """Import the example, which must be a module because FastAPI looks annotations up in it."""
    spec = importlib.util.spec_from_file_location("upload_service", ROOT / "examples" / "upload_service.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def make_app(isolation: str) -> Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]:
    """Return the service, which is patient but takes small uploads only, and notes its statuses."""
    worker._PROGRAM = worker._PROGRAM.replace("\nmain(", _HOSTILE_CHILD, 1)
    service = load_service()
    service.WAIT_SECONDS = 1000.0  # type: ignore[attr-defined]
    service.POLICY = replace(  # type: ignore[attr-defined]
        service.POLICY, max_source_bytes=_MOST_SOURCE_BYTES, deadline_seconds=300, isolation=isolation
    )
    statuses: dict[str, int] = {}

    @service.app.get("/state")  # type: ignore[untyped-decorator]
    async def state() -> dict[str, object]:
        names = [re.sub(r"[-_ ]*\d+$", "", thread.name) for thread in threading.enumerate()]
        return {
            "statuses": statuses,
            "descriptors": len(list(Path("/proc/self/fd").iterdir())),
            "threads": sorted(names),
        }

    async def app(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        names = [value.decode() for name, value in scope.get("headers", ()) if name == NAME.lower().encode()]

        async def noted(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start" and names:
                statuses[names[0]] = message["status"]
            await send(message)

        await service.app(scope, receive, noted)

    return app


def process_app() -> Callable[..., Awaitable[None]]:
    """Decode in processes; for ``uvicorn --factory``."""
    return make_app("process")


def none_app() -> Callable[..., Awaitable[None]]:
    """Decode in threads; for ``uvicorn --factory``."""
    return make_app("none")


class UploadServer:
    """Runs the service as long as the context lasts.

    Attributes
    ----------
    url
        Where it listens.
    """

    def __init__(self, isolation: str) -> None:
        factory = f"tests.support.servers.uploads:{isolation}_app"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "--factory", factory, "--port", "0", "--no-access-log"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])},
            stderr=subprocess.PIPE,
            text=True,
        )
        self._said: list[str] = []
        self._listens = threading.Event()
        self.url = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._said.append(line)
            if found := re.search(r"running on (http://\S+)", line):
                self.url = found[1]
                self._listens.set()
        self._listens.set()

    def __enter__(self) -> UploadServer:
        assert self._listens.wait(_START_SECONDS)
        assert self.url, self.said
        return self

    @property
    def said(self) -> str:
        """What the server wrote to standard error."""
        return "".join(self._said)

    def decoding_processes(self) -> list[int]:
        """Return the decoding processes that this server has started and that have not ended."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                *_, program, arguments = (folder / "cmdline").read_text().rstrip("\0").split("\0")
            except (OSError, ValueError):
                continue
            if "asyncframes._isolation" in program and f" {self._process.pid}, " in arguments:
                found.append(int(folder.name))
        return found

    def stop(self) -> int:
        """Shut the server down, and return its exit code."""
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(_END_SECONDS)

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._reader.join()
        assert self._process.stderr is not None
        self._process.stderr.close()
