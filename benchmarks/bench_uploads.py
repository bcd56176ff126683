"""Time good uploads to examples/upload_service.py while hostile ones arrive with them.

    python -m benchmarks.bench_uploads [--uploads N] [--rounds N] [--json]

The service runs under uvicorn in a process of its own. All uploads of a round are sent at once, first the
good ones alone, then with all of `tests.support.streams.uploads.HOSTILE` among them, decoded in processes
and in threads. In threads, the uploads that crash or spin a decoding process are merely damaged. The
first round, which starts processes and fills pools, is not counted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
from dataclasses import asdict, dataclass

import av

from tests.support.servers.uploads import UploadServer
from tests.support.streams.uploads import HOSTILE
from tests.support.upload_load import percentiles, send_all


@dataclass(frozen=True, slots=True)
class Result:
    """What one way of decoding did; times are seconds for a good upload."""

    isolation: str
    good: int
    hostile: int
    right: int
    p50: float
    p90: float
    p99: float
    p100: float


async def measure(isolation: str, uploads: int, rounds: int) -> list[Result]:
    with UploadServer(isolation) as server:
        await send_all(server.url, uploads, [])
        results = []
        for hostile in ([], list(HOSTILE)):
            answers = [
                answer for _ in range(rounds) for answer in await send_all(server.url, uploads, hostile)
            ]
            right = sum(answer.status == 200 for answer in answers)
            results.append(
                Result(isolation, uploads * rounds, len(hostile) * rounds, right, **percentiles(answers))
            )
        await asyncio.to_thread(server.stop)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--uploads", type=int, default=40, help="good uploads in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    results = [
        result
        for isolation in ("process", "none")
        for result in asyncio.run(measure(isolation, arguments.uploads, arguments.rounds))
    ]
    if arguments.json:
        json.dump([asdict(result) for result in results], sys.stdout, indent=2)
        return
    python = f"Python {platform.python_version()}, PyAV {av.__version__}"
    print(f"{os.cpu_count()} CPUs, {platform.machine()}, {python}")
    print("decoded in   good (right)   hostile     p50     p90     p99     max")
    for one in results:
        where = "processes" if one.isolation == "process" else "threads"
        times = "".join(f"{seconds:8.2f}" for seconds in (one.p50, one.p90, one.p99, one.p100))
        print(f"{where:<12}{one.good:>5} ({one.right:>5}){one.hostile:>10}{times}")


if __name__ == "__main__":
    main()
