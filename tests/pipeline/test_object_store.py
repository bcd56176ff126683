"""Object stores: S3 servers in other processes, and what becomes of what they answer."""

from __future__ import annotations

import asyncio
import builtins
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import asyncframes as af
from asyncframes.errors import (
    AsyncFramesError,
    ClosedError,
    MissingExtraError,
    RangeNotSupportedError,
    SourceAccessError,
    SourceChangedError,
    SourceNotFoundError,
    SourceTimeoutError,
    SourceUnavailableError,
)
from asyncframes.sources import HttpSource, ObjectStoreSource, resolve_source
from tests.support.servers.s3 import ACCESS, BUCKET, START_SECONDS, S3Server, moto_server, rclone_server
from tests.support.servers.web import Reply, RunningServer
from tests.support.streams.clips import clip_bytes, painted_index

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120 + START_SECONDS)]

DATA = bytes((7 * i + i // 251) % 256 for i in range(300_000))
SECRETS = ("open-sesame", "testing")
HEAD = 64 * 1024


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with moto_server() as server:
        yield server


@pytest.fixture
def fake() -> Iterator[RunningServer]:
    """A server that answers as a script says, under the address of an object."""
    with RunningServer() as server:
        server.serve(f"/{BUCKET}/clip.mp4", DATA)
        yield server


def source_of(url: str, server: S3Server | str, **config: Any) -> ObjectStoreSource:
    endpoint = server if isinstance(server, str) else server.endpoint
    return ObjectStoreSource(url, endpoint=endpoint, **(ACCESS | config))


def fake_source(fake: RunningServer, **config: Any) -> ObjectStoreSource:
    return source_of(f"s3://{BUCKET}/clip.mp4", fake.url(""), **config)


async def test_frames_come_from_an_object(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL and the usual environment are enough: frames by index, from a header-last MP4."""
    url = s3.put("some dir/clip é.mp4", clip_bytes(frames=48))
    for name, value in ACCESS.items():
        monkeypatch.setenv(f"AWS_{name.upper()}", value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.endpoint)
    async with af.open_video(url) as video:
        found = [painted_index(frame.image) async for frame in video.frames(indices=[40, 3])]
    assert found == [40, 3]


async def test_the_first_range_tells_all(fake: RunningServer) -> None:
    """Opening is one ranged GET; its bytes are not asked for again, and ETags go with later ranges."""
    async with fake_source(fake) as source:
        assert source.size == len(DATA)
        assert source.validator == '"v1"'
        assert await source.read_range(100, HEAD) == DATA[100:HEAD]
        assert await source.read_range(HEAD - 5, HEAD + 10) == DATA[HEAD - 5 : HEAD + 10]
    assert [request.byte_range for request in fake.requests] == [(0, HEAD), (HEAD - 5, HEAD + 10)]
    assert {request.method for request in fake.requests} == {"GET"}
    assert [request.headers.get("if-match") for request in fake.requests] == [None, '"v1"']


async def test_a_given_endpoint_goes_before_the_environment(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the caller says wins over both variables."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    async with source_of(s3.put("a.bin", DATA), s3) as source:
        assert source.size == len(DATA)


async def test_a_store_of_the_callers(s3: S3Server) -> None:
    """A store made elsewhere is used as it is, with the path of the object."""
    from obstore.store import S3Store

    s3.put("dir/a.bin", DATA)
    store = S3Store(
        BUCKET,
        prefix="dir",
        endpoint=s3.endpoint,
        client_options={"allow_http": True},
        **ACCESS,
    )
    async with ObjectStoreSource(store, "a.bin") as source:
        assert await source.read_range(70_000, 70_010) == DATA[70_000:70_010]
        assert source.name == "a.bin in a S3Store"
    with pytest.raises(ValueError, match="path"):
        ObjectStoreSource(store)
    with pytest.raises(ValueError, match="configuration"):
        ObjectStoreSource(store, "a.bin", region="eu-west-1")


async def test_anonymous_access(s3: S3Server) -> None:
    """Without a signature a public object is read, and a private one is refused."""
    url = s3.put("public.bin", DATA)
    with pytest.raises(SourceAccessError):
        await ObjectStoreSource(url, endpoint=s3.endpoint, skip_signature=True).open()
    s3.put("public.bin", DATA, public=True)
    async with ObjectStoreSource(url, endpoint=s3.endpoint, skip_signature=True) as source:
        assert source.size == len(DATA)


async def test_a_presigned_address_is_plain_http(s3: S3Server) -> None:
    """A URL signed for GET is read by ranges, and its signature is never shown."""
    import obstore
    from obstore.store import S3Store

    s3.put("signed.mp4", clip_bytes(frames=48))
    store = S3Store(BUCKET, endpoint=s3.endpoint, client_options={"allow_http": True}, **ACCESS)
    url = await obstore.sign_async(store, "GET", "signed.mp4", timedelta(minutes=5))
    assert "X-Amz-Signature=" in url
    async with af.open_video(url) as video:
        assert painted_index((await video.frame(30)).image) == 30
    assert "Signature" not in HttpSource(url).name


@pytest.mark.parametrize(
    ("key", "bucket", "text"), [("nothing", BUCKET, "object"), ("a", "no-such-bucket", "bucket")]
)
async def test_what_is_not_there(s3: S3Server, key: str, bucket: str, text: str) -> None:
    """A missing key and a missing bucket are told apart."""
    with pytest.raises(SourceNotFoundError, match=f"no such {text}") as caught:
        await source_of(f"s3://{bucket}/{key}", s3).open()
    assert isinstance(caught.value, FileNotFoundError)


async def test_wrong_credentials() -> None:
    """An unknown key, a wrong secret and a wrong session token are refused by a server that checks."""
    with moto_server() as s3:
        url = s3.put("a.bin", DATA)
        answer = s3.request("POST", "/", b"Action=CreateUser&UserName=ann&Version=2010-05-08", service="iam")
        answer = s3.request(
            "POST", "/", b"Action=CreateAccessKey&UserName=ann&Version=2010-05-08", service="iam"
        )
        found = re.search(rb"<AccessKeyId>(\w+)</AccessKeyId>", answer)
        assert found
        known = found[1].decode()
        s3.request("POST", "/moto-api/reset-auth", b"0")
        for wrong, code in [
            ({"access_key_id": "AKIANOBODY"}, "InvalidAccessKeyId"),
            ({"access_key_id": known, "secret_access_key": "open-sesame"}, "SignatureDoesNotMatch"),
            ({"access_key_id": "ASIANOBODY", "session_token": "open-sesame"}, "InvalidAccessKeyId"),
        ]:
            with pytest.raises(SourceAccessError, match=code) as caught:
                await source_of(url, s3, **wrong).open()
            assert all(secret not in str(caught.value) for secret in (*SECRETS, known))
            assert caught.value.__cause__ is None


def xml(code: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>open-sesame</Message></Error>".encode()


@pytest.mark.parametrize(
    ("status", "code", "error", "text"),
    [
        (400, "ExpiredToken", SourceAccessError, "expired"),
        (403, "RequestExpired", SourceAccessError, "expired"),
        (403, "RequestTimeTooSkewed", SourceAccessError, "RequestTimeTooSkewed"),
        (301, "PermanentRedirect", SourceAccessError, "region"),
        (400, "AuthorizationHeaderMalformed", SourceAccessError, "region"),
        (503, "SlowDown", SourceUnavailableError, "503"),
        (429, "TooManyRequests", SourceUnavailableError, "429"),
        (412, "PreconditionFailed", SourceChangedError, "has changed"),
        (404, "NoSuchKey", SourceNotFoundError, "object"),
    ],
)
async def test_what_a_store_answers(
    fake: RunningServer, status: int, code: str, error: type[AsyncFramesError], text: str
) -> None:
    """Each refusal has its name, and the text says the store's code and none of its words."""
    fake.serve(f"/{BUCKET}/clip.mp4", DATA, default=Reply(status=status, body=xml(code)))
    with pytest.raises(error, match=text) as caught:
        await fake_source(fake, attempts=2).open()
    assert all(secret not in str(caught.value) for secret in SECRETS)


async def test_a_passing_failure_is_not_seen(fake: RunningServer) -> None:
    """Failures of a moment, and a body that breaks off, cost nobody an error."""
    key = f"/{BUCKET}/clip.mp4"
    fake.script(key, Reply(status=503), Reply(reset_at=-1))
    async with fake_source(fake) as source:
        fake.script(key, Reply(reset_at=20_000))
        assert await source.read_range(HEAD, HEAD + 100_000) == DATA[HEAD : HEAD + 100_000]


async def test_nobody_listens() -> None:
    """A store that is down is a ConnectionError."""
    with pytest.raises(SourceUnavailableError) as caught:
        await source_of(f"s3://{BUCKET}/a", "http://127.0.0.1:1", attempts=2).open()
    assert isinstance(caught.value, ConnectionError)


@pytest.mark.parametrize("limit", ["read_timeout_seconds", "range_timeout_seconds"])
async def test_a_silent_store_times_out(fake: RunningServer, limit: str) -> None:
    """No wait is longer than its bound, and neither is a whole range."""
    fake.serve(f"/{BUCKET}/clip.mp4", DATA, default=Reply(stall_at=100))
    with pytest.raises(SourceTimeoutError):
        await fake_source(fake, attempts=2, **{limit: 0.2}).open()


async def test_a_replaced_object_is_an_error(s3: S3Server) -> None:
    """Bytes of two objects are never mixed."""
    url = s3.put("changing.bin", DATA)
    async with source_of(url, s3) as source:
        s3.put("changing.bin", DATA[::-1])
        with pytest.raises(SourceChangedError):
            await source.read_range(HEAD, HEAD + 10)


async def test_a_version_is_read_on(s3: S3Server) -> None:
    """A version that is named stays readable when the object is replaced."""
    status = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    s3.request("PUT", f"/{BUCKET}?versioning", status)
    url = s3.put("versioned.bin", DATA)
    listing = s3.request("GET", f"/{BUCKET}?versions&prefix=versioned.bin")
    found = re.search(rb"<VersionId>([\w-]+)</VersionId>", listing)
    assert found
    s3.put("versioned.bin", DATA[::-1])
    async with source_of(url, s3, version=found[1].decode()) as source:
        assert await source.read_range(HEAD, HEAD + 10) == DATA[HEAD : HEAD + 10]


async def test_a_range_that_is_not_the_one_asked_for(fake: RunningServer) -> None:
    """A reply that says it is elsewhere, or the whole object, is not believed."""
    async with fake_source(fake) as source:
        for reply in (Reply(headers={"Content-Range": "bytes 0-9/300000"}), Reply(ignore_range=True)):
            fake.script(f"/{BUCKET}/clip.mp4", reply)
            with pytest.raises(RangeNotSupportedError):
                await source.read_range(HEAD, HEAD + 10)


async def test_a_cancelled_read_leaves_the_store(fake: RunningServer) -> None:
    """Cancelling is prompt, and later reads work."""
    async with fake_source(fake) as source:
        fake.script(f"/{BUCKET}/clip.mp4", Reply(stall_at=10))
        read = asyncio.create_task(source.read_range(HEAD, HEAD + 1000))
        await asyncio.to_thread(fake.wait_for_requests, 2)
        read.cancel()
        with pytest.raises(asyncio.CancelledError):
            await read
        assert await source.read_range(HEAD, HEAD + 1000) == DATA[HEAD : HEAD + 1000]
    with pytest.raises(ClosedError):
        await source.read_range(0, 1)


async def test_what_rclone_serves(tmp_path: Path) -> None:
    """Its refusals have names; its ranges, sent with 200 in place of 206, are not believed.

    ``rclone serve s3`` 1.70 to 1.75 sends the right bytes and a right `Content-Range` under the
    status that stands for a whole object, and it overlooks `If-Match`.
    """
    wrong = {"secret_access_key": "wrong"}
    (tmp_path / BUCKET).mkdir()
    (tmp_path / BUCKET / "a.bin").write_bytes(DATA)
    with rclone_server(tmp_path) as server:
        with pytest.raises(SourceNotFoundError, match="object"):
            await source_of(f"s3://{BUCKET}/nothing", server).open()
        with pytest.raises(SourceNotFoundError, match="bucket"):
            await source_of("s3://no-such-bucket/nothing", server).open()
        with pytest.raises(SourceAccessError):
            await source_of(f"s3://{BUCKET}/a.bin", server, **wrong).open()
        with pytest.raises(RangeNotSupportedError):
            await source_of(f"s3://{BUCKET}/a.bin", server).open()


@pytest.mark.parametrize(
    ("url", "kind"), [("s3://bucket/a b%20c.mp4", "S3Store"), ("gs://bucket/dir/a.mp4", "GCSStore")]
)
def test_urls_mean_object_stores(url: str, kind: str) -> None:
    """A scheme has its store; the key is what follows the bucket, letter by letter."""
    source = resolve_source(url)
    assert isinstance(source, ObjectStoreSource)
    assert source.name == url
    assert type(source._store).__name__ == kind


def test_azure_needs_an_account() -> None:
    """A container is found through its account, and the key stays hidden."""
    source = ObjectStoreSource("az://container/a.mp4", account_name="ann", account_key="b3Blbi1zZXNhbWU=")
    assert type(source._store).__name__ == "AzureStore"
    assert "b3Blbi1zZXNhbWU" not in repr(source)
    with pytest.raises(ValueError, match="Account"):
        ObjectStoreSource("az://container/a.mp4")


@pytest.mark.parametrize("url", ["s3://", "s3://bucket", "s3://bucket/", "s3://key:open-sesame@bucket/a"])
def test_an_incomplete_address(url: str) -> None:
    """What names no object is a wrong argument, and is not repeated."""
    with pytest.raises(ValueError, match=r"scheme://bucket/key") as caught:
        ObjectStoreSource(url)
    assert "open-sesame" not in str(caught.value)
    with pytest.raises(ValueError, match="nonsense"):
        ObjectStoreSource("s3://bucket/a", nonsense=1)


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to install."""
    real_import = builtins.__import__

    def without_obstore(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] == "obstore":
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_obstore)
    with pytest.raises(MissingExtraError, match=r"pip install 'asyncframes-video\[cloud\]'"):
        resolve_source("s3://bucket/a.mp4")
