"""Runs the functions of one module on videos of a Supervisely server; started in the SDK's own environment.

``python sdk_worker.py MODULE ADDRESS TOKEN`` takes one job a line, as JSON, and answers each with one line.
`MODULE` is the SDK's ``supervisely.video.sampling`` or its drop-in: nothing else differs.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import os
import sys
import time
from typing import Any

# The SDK would try TLS on the loopback server first, and logs to stdout.
os.environ["SUPERVISELY_SKIP_HTTPS_USER_HELPER_CHECK"] = "true"
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

import av  # noqa: E402
import numpy as np  # noqa: E402
import supervisely as sly  # type: ignore[import-not-found,unused-ignore]  # noqa: E402

JOB_SECONDS = 120.0


class Worker:
    """One module's functions and an ``Api`` object."""

    def __init__(self, module: str, address: str, token: str) -> None:
        self._functions = importlib.import_module(module)
        self._api = sly.Api(address, token, retry_count=1)

    def facts(self, _job: dict[str, Any]) -> dict[str, Any]:
        """Say versions and signatures."""
        names = (
            "stream_video_frames_to_dir",
            "async_stream_video_frames_to_dir",
            "async_stream_video_frames",
        )
        return {
            "av": av.__version__,
            "ffmpeg": av.ffmpeg_version_info,
            "sdk": sly.__version__,
            "signatures": {name: self._parameters(getattr(self._functions, name)) for name in names},
            "kinds": {
                name: [
                    inspect.iscoroutinefunction(getattr(self._functions, name)),
                    inspect.isasyncgenfunction(getattr(self._functions, name)),
                ]
                for name in names
            },
        }

    def _parameters(self, function: Any) -> list[list[str]]:
        parameters = inspect.signature(function).parameters.values()
        return [[p.name, p.kind.name, repr(p.default)] for p in parameters]

    def to_dir(self, job: dict[str, Any]) -> dict[str, Any]:
        """Write frames as PNG files."""
        steps: list[int] = []
        call = self._functions.async_stream_video_frames_to_dir(
            self._api,
            job["video_id"],
            job["out"],
            job["start"],
            job["end"],
            progress_cb=steps.append,
            image_writer=_save_array if job.get("own_writer") else None,
        )
        return {"paths": asyncio.run(asyncio.wait_for(call, JOB_SECONDS)), "steps": steps}

    def to_dir_blocking(self, job: dict[str, Any]) -> dict[str, Any]:
        """Write frames as PNG files with the blocking function, outside of a loop and inside of one."""
        function = self._functions.stream_video_frames_to_dir
        arguments = (self._api, job["video_id"], job["out"], job["start"], job["end"])

        async def inside() -> Any:
            return function(*arguments)

        return {"paths": function(*arguments), "inside": asyncio.run(inside())}

    def stream(self, job: dict[str, Any]) -> dict[str, Any]:
        """Stream frames to nowhere, waiting `pause` seconds at each; ends after `limit` frames."""

        async def run() -> list[int]:
            frames = self._functions.async_stream_video_frames(
                self._api,
                job["video_id"],
                job["start"],
                job["end"],
                queue_maxsize=job.get("queue_maxsize", 32),
            )
            indices = []
            async for index, _ in frames:
                indices.append(index)
                await asyncio.sleep(job.get("pause", 0.0))
                if len(indices) == job.get("limit"):
                    break
            return indices

        began = time.perf_counter()
        indices = asyncio.run(asyncio.wait_for(run(), JOB_SECONDS))
        return {"indices": indices, "seconds": time.perf_counter() - began}

    def reference(self, job: dict[str, Any]) -> dict[str, Any]:
        """Decode a file from its beginning with a bare PyAV loop; keeps the frames named in a .npz."""
        wanted, kept, corrupt, count = set(job["indices"]), {}, [], 0
        damaged_at = None
        with av.open(job["path"]) as container:
            stream = next(s for s in container.streams.video if not s.disposition & 0x400)
            for packet in container.demux(stream):
                try:
                    frames = packet.decode()
                except av.error.InvalidDataError:
                    damaged_at = count if damaged_at is None else damaged_at
                    continue
                for frame in frames:
                    if frame.is_corrupt:
                        corrupt.append(count)
                    if count in wanted:
                        kept[str(count)] = frame.to_ndarray(format="rgb24")
                    count += 1
        np.savez(job["out"], **kept)
        return {"count": count, "corrupt": corrupt, "damaged_at": damaged_at}


def _save_array(path: str, image: Any) -> None:
    np.save(f"{path}.npy", image)


def main(module: str, address: str, token: str) -> None:
    """Do jobs until there are no more."""
    worker = Worker(module, address, token)
    for line in sys.stdin:
        job = json.loads(line)
        try:
            answer = getattr(worker, job["do"])(job)
        except Exception as exc:  # noqa: BLE001 - the answer
            answer = {"error": type(exc).__name__, "text": str(exc)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(*sys.argv[1:4])
