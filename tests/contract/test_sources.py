"""Every source keeps the contract, and so does a cache over it."""

from __future__ import annotations

import base64
import io
import mmap
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import ClassVar

import fsspec
import pytest

from asyncframes.abc import StreamSource
from asyncframes.sources import (
    CachedSource,
    FileObjectSource,
    ForwardSource,
    FsspecSource,
    HttpSource,
    LocalSource,
    MemorySource,
    ObjectStoreSource,
)
from asyncframes.sources._data_url import DataUrlSource
from asyncframes.sources._descriptor import from_descriptor
from asyncframes.supervisely import SuperviselyServer, SuperviselySource
from asyncframes.testing import FaultySource, SourceContract
from tests.support.servers.s3 import ACCESS
from tests.support.servers.supervisely_platform import TOKEN, Platform
from tests.support.servers.web import Reply, RunningServer

pytestmark = pytest.mark.anyio


class TestMemory(SourceContract):
    @asynccontextmanager
    async def serving(self, data: bytes) -> AsyncIterator[StreamSource]:
        yield MemorySource(data)


class TestLocal(SourceContract):
    @asynccontextmanager
    async def serving(self, data: bytes) -> AsyncIterator[StreamSource]:
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            yield LocalSource(file.name)


class TestFileObject(SourceContract):
    @asynccontextmanager
    async def serving(self, data: bytes) -> AsyncIterator[StreamSource]:
        with io.BytesIO(data) as file:
            yield FileObjectSource(file)


class TestDescriptor(SourceContract):
    @asynccontextmanager
    async def serving(self, data: bytes) -> AsyncIterator[StreamSource]:
        with tempfile.TemporaryFile() as file:
            file.write(data)
            file.flush()
            yield from_descriptor(file.fileno())


class TestDataUrl(SourceContract):
    @asynccontextmanager
    async def serving(self, data: bytes) -> AsyncIterator[StreamSource]:
        yield DataUrlSource("data:video/mp4;base64," + base64.b64encode(data).decode())


class TestMemoryMap(SourceContract):
    @asynccontextmanager
    async def serving(self, data: bytes) -> AsyncIterator[StreamSource]:
        if not data:  # there are no empty maps
            yield MemorySource(data)
            return
        with mmap.mmap(-1, len(data)) as mapped:
            mapped[:] = data
            yield FileObjectSource(mapped)


class TestFaulty(SourceContract):
    @asynccontextmanager
    async def serving(self, data: bytes) -> AsyncIterator[StreamSource]:
        yield FaultySource(MemorySource(data))


class TestForward(SourceContract):
    @asynccontextmanager
    async def serving(self, data: bytes) -> AsyncIterator[StreamSource]:
        async def upload() -> AsyncIterator[bytes]:
            for start in range(0, len(data), 4_999):
                yield data[start : start + 4_999]

        yield ForwardSource(upload())


class TestIterator(SourceContract):
    @asynccontextmanager
    async def serving(self, data: bytes) -> AsyncIterator[StreamSource]:
        yield ForwardSource(data[start : start + 4_999] for start in range(0, len(data), 4_999))


class TestHttp(SourceContract):
    secrets: ClassVar[tuple[str, ...]] = ("hush", "mystery", "signature")
    reply: ClassVar[Reply] = Reply()

    @asynccontextmanager
    async def serving(self, data: bytes) -> AsyncIterator[StreamSource]:
        with RunningServer() as server:
            server.serve("/clip.mp4", data, default=self.reply)
            url = server.url("/clip.mp4?signature=hush", host="user:mystery@127.0.0.1")
            yield HttpSource(url)


class TestHttpOfUnknownSize(TestHttp):
    @asynccontextmanager
    async def serving(self, data: bytes) -> AsyncIterator[StreamSource]:
        with RunningServer() as server:
            server.serve("/live.mp4", data, hides_size=True)
            yield HttpSource(server.url("/live.mp4?signature=hush"))


class TestHttpWithoutRanges(TestHttp):
    reply: ClassVar[Reply] = Reply(ignore_range=True)


class TestHttpWithoutLength(TestHttp):
    reply: ClassVar[Reply] = Reply(ignore_range=True, chunked=True)


class TestSupervisely(SourceContract):
    secrets: ClassVar[tuple[str, ...]] = (TOKEN,)

    @asynccontextmanager
    async def serving(self, data: bytes) -> AsyncIterator[StreamSource]:
        with Platform() as platform:
            platform.add_video(1, data)
            yield SuperviselySource(SuperviselyServer(platform.address, TOKEN), 1)


class TestObjectStore(SourceContract):
    secrets: ClassVar[tuple[str, ...]] = ("open-sesame",)

    @asynccontextmanager
    async def serving(self, data: bytes) -> AsyncIterator[StreamSource]:
        with RunningServer() as server:
            server.serve("/bucket/clip.mp4", data)
            yield ObjectStoreSource("s3://bucket/clip.mp4", endpoint=server.url(""), **ACCESS)


class TestFsspec(SourceContract):
    secrets: ClassVar[tuple[str, ...]] = ("signature", "hush")

    @asynccontextmanager
    async def serving(self, data: bytes) -> AsyncIterator[StreamSource]:
        with RunningServer() as server:
            server.serve("/clip.mp4", data)
            yield FsspecSource(server.url("/clip.mp4?signature=hush"))


class TestFsspecInThreads(SourceContract):
    @asynccontextmanager
    async def serving(self, data: bytes) -> AsyncIterator[StreamSource]:
        filesystem = fsspec.filesystem("memory")
        filesystem.pipe_file("/contract/a", data)
        yield FsspecSource("memory://contract/a")
        filesystem.rm("/contract", recursive=True)


class Cached(SourceContract):
    """Puts a small cache over the source of the class it is mixed into."""

    @asynccontextmanager
    async def serving(self, data: bytes) -> AsyncIterator[StreamSource]:
        async with super().serving(data) as source:
            yield CachedSource(source, cache_bytes=40_000, block_size=5_000)


class TestCachedMemory(Cached, TestMemory):
    pass


class TestCachedLocal(Cached, TestLocal):
    pass


class TestCachedFileObject(Cached, TestFileObject):
    pass


class TestCachedDescriptor(Cached, TestDescriptor):
    pass


class TestCachedDataUrl(Cached, TestDataUrl):
    pass


class TestCachedForward(Cached, TestForward):
    pass


class TestCachedHttp(Cached, TestHttp):
    pass


class TestCachedFsspec(Cached, TestFsspec):
    pass


class TestCachedObjectStore(Cached, TestObjectStore):
    pass


class TestCachedHttpOfUnknownSize(Cached, TestHttpOfUnknownSize):
    pass


class TestCachedHttpWithoutRanges(Cached, TestHttpWithoutRanges):
    pass


class TestCachedHttpWithoutLength(Cached, TestHttpWithoutLength):
    pass
