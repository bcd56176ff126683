"""The parent: hands cases to child processes, and notes what comes back, or that nothing does."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fuzz._seeds import make_clips

_DUMP_SECONDS = 1.0

# Behind the installed package, which is what is tried.
_ROOT = str(Path(__file__).parents[2])
_START = f"import sys; sys.path.append({_ROOT!r}); from tests.fuzz._worker import main; main()"


@dataclass(slots=True)
class Result:
    """A case and what it came to.

    Attributes
    ----------
    kind, detail
        As `tests.fuzz._case.Outcome`; also ``"hang"`` and ``"crash"``.
    name, edits
        The file and its damage.
    plan
        How its bytes were given, and with how many threads.
    """

    seed: int
    case: int
    kind: str = ""
    detail: list[str] = field(default_factory=list)
    name: str = ""
    edits: list[dict[str, Any]] = field(default_factory=list)
    size: int = 0
    what: str = ""
    plan: str = ""
    megabytes: float = 0.0
    process_megabytes: float = 0.0
    seconds: float = 0.0
    frames: int = 0


class Fuzzer:
    """Runs cases in child processes.

    Parameters
    ----------
    seed
        What damage is done depends on it.
    jobs
        How many children.
    timeout_seconds
        How long a case may take before it counts as a hang.
    clips
        Folder for clips, shared by every run that uses it.
    with_files
        Whether the real files beside the checkout are damaged too; numbers of cases stand for others then.
    is_untrusted
        Whether every video is opened under ``Policy.untrusted()``, and so in a process of its own.
    """

    def __init__(
        self,
        *,
        seed: int,
        jobs: int,
        timeout_seconds: float,
        clips: Path,
        with_files: bool,
        is_untrusted: bool = False,
    ) -> None:
        self._seed = seed
        self._jobs = jobs
        self._timeout = timeout_seconds
        self._settings = {
            "clips": str(clips.resolve()),
            "seed": seed,
            "with_files": with_files,
            "is_untrusted": is_untrusted,
        }
        clips.mkdir(parents=True, exist_ok=True)
        make_clips(clips)

    async def run(self, cases: Iterator[dict[str, Any]], note: Callable[[Result], None]) -> None:
        """Run cases until there are none."""
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            async with asyncio.TaskGroup() as group:
                for number in range(self._jobs):
                    own = Path(folder, str(number))
                    own.mkdir()
                    group.create_task(self._work(own, cases, note))

    async def _work(
        self, folder: Path, cases: Iterator[dict[str, Any]], note: Callable[[Result], None]
    ) -> None:
        child = _Child(folder, self._settings)
        try:
            for asked in cases:
                result = Result(self._seed, asked["case"])
                await child.run(asked, result, self._timeout)
                note(result)
        finally:
            await child.end()


class _Child:
    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self._settings = json.dumps(settings | {"folder": str(folder)})
        self._folder = folder
        self._log = folder / "log"
        self._process: asyncio.subprocess.Process | None = None

    async def run(self, asked: dict[str, Any], result: Result, timeout: float) -> None:
        process = self._process or await self._start()
        assert process.stdin is not None
        phase, deadline = "starting", time.monotonic() + timeout
        process.stdin.write(json.dumps(asked).encode() + b"\n")
        while True:
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    reply = await self._reply(process)
            except TimeoutError:
                result.kind, result.detail = "hang", [f"in {phase}", *await self._stacks(process)]
                await self.end()
                break
            if reply is None:
                result.kind, result.detail = "crash", [await self._why(process), f"in {phase}", *self._tail()]
                await self.end()
                break
            phase = reply.get("phase", phase)
            fields = reply.get("outcome") or ({} if "phase" in reply else reply)
            for name, value in fields.items():
                setattr(result, name, value)
            if "outcome" in reply:
                break
        if phase == "reference" and result.kind in {"hang", "crash"}:
            result.kind = f"reference {result.kind}"

    async def _start(self) -> asyncio.subprocess.Process:
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                _START,
                self._settings,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                cwd=self._folder,
                limit=64 * 1024 * 1024,
            )
        return self._process

    async def _reply(self, process: asyncio.subprocess.Process) -> dict[str, Any] | None:
        assert process.stdout is not None
        line = await process.stdout.readline()
        if not line.endswith(b"\n"):
            return None
        reply: dict[str, Any] = json.loads(line)
        return reply

    async def _stacks(self, process: asyncio.subprocess.Process) -> list[str]:
        """Have a child that hangs say where, as far as it can."""
        process.send_signal(signal.SIGUSR1)
        await asyncio.sleep(_DUMP_SECONDS)
        return self._tail(60)

    async def _why(self, process: asyncio.subprocess.Process) -> str:
        code = await process.wait()
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"

    def _tail(self, lines: int = 30) -> list[str]:
        return self._log.read_text(errors="replace").splitlines()[-lines:]

    async def end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            if process.returncode is None:
                process.kill()
            await process.wait()
