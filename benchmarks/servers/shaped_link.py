"""Serve a file over a simulated link of a given round trip and bandwidth, on loopback.

::

    python -m benchmarks.servers.shaped_link film.mp4 --latency 0.05 --megabits 100

It prints the URL, serves until its standard input closes, and then prints how much the link carried.

A relay delays what the server sends and gets: half a round trip each way, and one more before the first byte
of a connection (its handshake), and all connections share the bandwidth of the way back. No slow start, no
loss.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from selectors import SelectSelector
from urllib.parse import urlsplit

from benchmarks.servers.counting import CountingServer

_PIECE_BYTES = 16 * 1024
# How much one connection holds in flight, as a TCP window bounds it.
_WINDOW_BYTES = 2 * 1024 * 1024


class ShapedLink:
    """Relays connections to a port of this machine, with a delay and a bandwidth."""

    def __init__(self, port: int, *, round_trip_seconds: float, bytes_per_second: float) -> None:
        self._port = port
        self._round_trip_seconds = round_trip_seconds
        self._bytes_per_second = bytes_per_second
        self._free_at = 0.0
        self.connections = 0
        self.bytes_back = 0

    async def start(self) -> int:
        """Listen, and return the port."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def aclose(self) -> None:
        """Listen no more, and wait until the connections have ended."""
        self._server.close()
        await self._server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        opened_at = asyncio.get_running_loop().time() + self._round_trip_seconds
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._port)
        half = self._round_trip_seconds / 2
        up = self._relay(reader, inner_writer, lambda _: max(opened_at, self._now()) + half)
        down = self._relay(inner_reader, writer, lambda size: self._sent_at(size) + half)
        tasks = [asyncio.create_task(up), asyncio.create_task(down)]
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        for end in (writer, inner_writer):
            end.close()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _sent_at(self, size: int) -> float:
        self.bytes_back += size
        self._free_at = max(self._free_at, self._now()) + size / self._bytes_per_second
        return self._free_at

    async def _relay(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, due: Callable[[int], float]
    ) -> None:
        """Deliver each piece when it is due."""
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_WINDOW_BYTES // _PIECE_BYTES)

        async def deliver() -> None:
            while True:
                moment, piece = await under_way.get()
                await asyncio.sleep(moment - self._now())
                if not piece:
                    return
                writer.write(piece)
                await writer.drain()

        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(deliver())
                while piece := await reader.read(_PIECE_BYTES):
                    await under_way.put((due(len(piece)), piece))
                await under_way.put((self._now() + self._round_trip_seconds, b""))
        except* ConnectionError:
            pass  # the rest of the connection ends with either side


async def serve(path: Path, round_trip_seconds: float, megabits: float) -> None:
    """Serve until standard input ends."""
    async with CountingServer(path) as url:
        link = ShapedLink(
            urlsplit(url).port or 0,
            round_trip_seconds=round_trip_seconds,
            bytes_per_second=megabits * 1e6 / 8,
        )
        port = await link.start()
        print(f"http://127.0.0.1:{port}/clip.mp4", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        print(json.dumps({"connections": link.connections, "bytes": link.bytes_back}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--latency", type=float, default=0.05, help="of a round trip, in seconds")
    parser.add_argument("--megabits", type=float, default=100.0, help="a second")
    arguments = parser.parse_args()
    # Other selectors round what they wait up to milliseconds: some of these in each round trip.
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(SelectSelector())) as runner:
        runner.run(serve(arguments.file, arguments.latency, arguments.megabits))


if __name__ == "__main__":
    main()
