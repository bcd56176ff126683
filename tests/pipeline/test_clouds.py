"""Google Cloud Storage and Azure Blob Storage, as far as their emulators go.

gcp-storage-emulator asks for no credentials, so no token of Google's is tried, and
`tests.support.servers.gcs` completes its XML API. Azurite knows no versions of blobs, no Entra ID over plain
HTTP and no managed identity. Neither of the two ever throttles: what a store answers then,
`test_object_store` tries by a server with a script.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, ClassVar

import pytest

import asyncframes as af
from asyncframes.abc import StreamSource
from asyncframes.errors import (
    ShortReadError,
    SourceAccessError,
    SourceChangedError,
    SourceNotFoundError,
)
from asyncframes.sources import CachedSource, ObjectStoreSource
from asyncframes.testing import SourceContract
from tests.support.servers.emulators import (
    BUCKET,
    KEY,
    AzureServer,
    GoogleServer,
    azure_server,
    google_server,
)
from tests.support.servers.s3 import START_SECONDS
from tests.support.streams.clips import clip_bytes, painted_index

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120 + START_SECONDS)]

DATA = bytes((7 * i + i // 251) % 256 for i in range(300_000))
HEAD = 64 * 1024

Cloud = AzureServer | GoogleServer


@pytest.fixture(scope="module")
def google() -> Iterator[GoogleServer]:
    with google_server() as server:
        yield server


@pytest.fixture(scope="module")
def azure() -> Iterator[AzureServer]:
    with azure_server() as server:
        yield server


@pytest.fixture(params=["google", "azure"])
def cloud(request: pytest.FixtureRequest) -> Cloud:
    """Each of the two, in turn."""
    found: Cloud = request.getfixturevalue(request.param)
    return found


def source_of(url: str, cloud: Cloud, **config: Any) -> ObjectStoreSource:
    return ObjectStoreSource(url, attempts=1, **(cloud.config | config))


async def test_frames_come_from_an_object(cloud: Cloud) -> None:
    """By index, of an MP4 whose header comes last, without the bytes between."""
    source = source_of(cloud.put("dir/clip.mp4", clip_bytes(frames=48)), cloud)
    async with af.open_video(source) as video:
        assert await video.count() == 48
        found = [painted_index(frame.image) async for frame in video.frames(indices=[40, 3])]
    assert found == [40, 3]


@pytest.mark.parametrize(
    "key", ["plain.bin", "a dir/é ü.bin", "100%.bin", "a+b&c=d.bin", "a%2Fb.bin", "deep/er/x"]
)
async def test_keys_are_taken_as_they_are(cloud: Cloud, key: str) -> None:
    """No quoting is asked for, and none is undone."""
    async with source_of(cloud.put(key, DATA), cloud) as source:
        assert source.size == len(DATA)
        assert await source.read_range(HEAD + 5, HEAD + 15) == DATA[HEAD + 5 : HEAD + 15]


async def test_an_object_that_is_replaced(cloud: Cloud) -> None:
    """The store's own ETag pins the object: bytes of two versions never mix."""
    async with source_of(cloud.put("changes.bin", DATA), cloud) as source:
        assert source.validator
        cloud.put("changes.bin", DATA[::-1])
        with pytest.raises(SourceChangedError):
            await source.read_range(HEAD, HEAD + 10)


async def test_what_is_not_there(cloud: Cloud) -> None:
    """No such object, and no such place for objects."""
    with pytest.raises(SourceNotFoundError):
        await source_of(cloud.put("there.bin", DATA) + ".not", cloud).open()
    with pytest.raises(SourceNotFoundError) as caught:
        await source_of(cloud.put("there.bin", DATA).replace(BUCKET, "no-such-place"), cloud).open()
    assert isinstance(cloud, GoogleServer) or "no such container" in str(caught.value)


async def test_an_empty_object(cloud: Cloud) -> None:
    """An object of no bytes opens, although no range of it can be had."""
    async with source_of(cloud.put("empty.bin", b""), cloud) as source:
        assert source.size == 0
        assert await source.read_range(0, 0) == b""
        with pytest.raises(ShortReadError):
            await source.read_range(0, 1)


async def test_ranges_side_by_side(cloud: Cloud) -> None:
    """Many at a time, through the cache that a video reads by."""
    async with CachedSource(source_of(cloud.put("many.bin", DATA), cloud)) as source:
        starts = range(0, 290_000, 10_000)
        parts = await asyncio.gather(*(source.read_range(start, start + 10_000) for start in starts))
    assert b"".join(parts) == DATA[:290_000]


async def test_a_wrong_key_of_azure_is_refused(azure: AzureServer) -> None:
    """The error says so, and tells neither key."""
    url = azure.put("closed.bin", DATA)
    wrong = base64.b64encode(b"open-sesame" * 5).decode()
    with pytest.raises(SourceAccessError, match="credentials") as caught:
        await source_of(url, azure, account_key=wrong).open()
    assert wrong not in str(caught.value)
    assert KEY not in str(caught.value)


async def test_anonymous_reads_of_azure(azure: AzureServer) -> None:
    """A public container is read without a key, a private one is refused."""
    azure.make_container("public-clips", public=True)
    for container, allowed in (("public-clips", True), (BUCKET, False)):
        url = azure.put("open.bin", DATA, container=container)
        config = {name: azure.config[name] for name in ("endpoint", "account_name")}
        source = ObjectStoreSource(url, skip_signature=True, attempts=1, **config)
        if allowed:
            async with source:
                assert await source.read_range(HEAD, HEAD + 5) == DATA[HEAD : HEAD + 5]
        else:
            with pytest.raises(SourceAccessError):
                await source.open()


async def test_shared_access_signatures_of_azure(azure: AzureServer) -> None:
    """One that is valid reads its blob, one that has expired is refused, and neither is told."""
    url = azure.put("shared.bin", DATA)
    config = {
        "endpoint": azure.config["endpoint"],
        "account_name": azure.config["account_name"],
        "attempts": 1,
    }
    token = azure.token("shared.bin", valid_for=timedelta(hours=1))
    async with ObjectStoreSource(url, sas_key=token, **config) as source:
        assert await source.read_range(HEAD, HEAD + 5) == DATA[HEAD : HEAD + 5]
        assert "sig" not in f"{source!r} {source.name}"
    expired = azure.token("shared.bin", valid_for=timedelta(minutes=-5))
    with pytest.raises(SourceAccessError) as caught:
        await ObjectStoreSource(url, sas_key=expired, **config).open()
    assert "sig=" not in str(caught.value)


class TestGoogle(SourceContract):
    secrets: ClassVar[tuple[str, ...]] = (KEY,)
    _server: Cloud

    @pytest.fixture(autouse=True)
    def _one_server(self, google: GoogleServer) -> None:
        self._server = google

    @asynccontextmanager
    async def serving(self, data: bytes) -> AsyncIterator[StreamSource]:
        yield source_of(self._server.put("contract.bin", data), self._server)


class TestAzure(SourceContract):
    secrets: ClassVar[tuple[str, ...]] = (KEY,)
    _server: Cloud

    @pytest.fixture(autouse=True)
    def _one_server(self, azure: AzureServer) -> None:
        self._server = azure

    @asynccontextmanager
    async def serving(self, data: bytes) -> AsyncIterator[StreamSource]:
        yield source_of(self._server.put("contract.bin", data), self._server)
