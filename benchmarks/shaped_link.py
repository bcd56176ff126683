"""A TCP proxy on loopback that is as slow as a real link."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque

_PIECE_BYTES = 16 * 1024


class ShapedLink:
    """Forwards connections to a port of loopback, with a delay and a rate.

    Parameters
    ----------
    port
        Where to.
    round_trip_seconds
        Half of it is added in each direction; opening a connection costs a whole one.
    bits_per_second
        Of all connections together, towards the client.
    """

    def __init__(self, port: int, *, round_trip_seconds: float, bits_per_second: float) -> None:
        self._port = port
        self._one_way = round_trip_seconds / 2
        self._bytes_per_second = bits_per_second / 8
        self._free_at = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> str:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aexit__(self, *_exc: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            # The handshake is over by now, without any delay: the client's first bytes pay for it.
            await asyncio.sleep(2 * self._one_way)
            upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", self._port)
            try:
                async with asyncio.TaskGroup() as group:
                    up = group.create_task(self._carry(reader, upstream_writer, is_shaped=False))
                    down = group.create_task(self._carry(upstream_reader, writer, is_shaped=True))
                    await asyncio.wait([up, down], return_when=asyncio.FIRST_COMPLETED)
                    up.cancel()
                    down.cancel()
            finally:
                upstream_writer.close()
        self._tasks.discard(task)
        writer.close()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_shaped: bool
    ) -> None:
        """Move bytes; each piece arrives one way's delay after the link was free to take it."""
        loop = asyncio.get_running_loop()
        under_way: deque[tuple[float, bytes]] = deque()
        arrival = asyncio.Event()

        async def deliver() -> None:
            while True:
                while not under_way:
                    arrival.clear()
                    await arrival.wait()
                due, piece = under_way.popleft()
                await asyncio.sleep(due - loop.time())
                if not piece:
                    return
                writer.write(piece)
                await writer.drain()

        delivering = asyncio.create_task(deliver())
        try:
            while True:
                piece = await reader.read(_PIECE_BYTES)
                sent_at = loop.time()
                if is_shaped:
                    self._free_at = max(self._free_at, sent_at) + len(piece) / self._bytes_per_second
                    await asyncio.sleep(self._free_at - sent_at)
                under_way.append((loop.time() + self._one_way, piece))
                arrival.set()
                if not piece:
                    break
            await delivering
        except ConnectionError:
            pass
        finally:
            delivering.cancel()
