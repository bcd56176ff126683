"""No secret reaches a representation, a text, an error, a warning or a log, from any public class."""

from __future__ import annotations

import asyncio
import inspect
import io
import logging
import pickle
import traceback
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import fsspec
import pytest

import asyncframes as af
from asyncframes import abc, errors, sources, supervisely, sync, testing, writers
from asyncframes.sources import (
    CachedSource,
    FFmpegUrlSource,
    FileObjectSource,
    ForwardSource,
    FsspecSource,
    HttpSource,
    LocalSource,
    MemorySource,
    ObjectStoreSource,
)
from asyncframes.supervisely import SuperviselyServer, SuperviselySource
from tests.support.servers.web import Reply, RunningServer
from tests.support.streams.clips import clip_bytes

SECRET = "hush-hush"  # noqa: S105 - of nobody
# Nobody listens there.
URL = f"http://{SECRET}:{SECRET}@127.0.0.1:9/a.mp4?X-Amz-Signature={SECRET}&token={SECRET}#{SECRET}"
CLOUD: dict[str, Any] = {"access_key_id": SECRET, "secret_access_key": SECRET, "region": "us-east-1"}
HERE: dict[str, Any] = {"endpoint": f"http://127.0.0.1:9/?sig={SECRET}", "attempts": 1}
AZURE: dict[str, Any] = {
    "account_name": "me",
    "account_key": "aHVzaC1odXNo",
    "endpoint": "http://127.0.0.1:9",
    "attempts": 1,
}


class Named(io.BytesIO):
    """What opened a URL, and says so."""

    name = URL


async def _upload() -> AsyncIterator[bytes]:
    yield b""


def _sdk() -> Any:
    """Play the SDK's object."""

    class Api:
        server_address = URL
        token = SECRET

        class video:  # noqa: N801 - the SDK's attribute
            @staticmethod
            def get_json_info_by_id(video_id: int, *, force_metadata_for_links: bool) -> dict[str, str]:
                raise OSError(f"{URL} refused {SECRET}")

    return Api()


MAKERS: dict[type, list[Callable[[], Any]]] = {
    HttpSource: [
        lambda: HttpSource(URL, attempts=1),
        lambda: HttpSource(URL.replace(f"{SECRET}:{SECRET}@", ""), auth=(SECRET, SECRET), attempts=1),
        lambda: HttpSource(
            URL.replace(f"{SECRET}:{SECRET}@", ""),
            headers={"Authorization": SECRET},
            cookies={"a": SECRET},
            attempts=1,
        ),
    ],
    ObjectStoreSource: [
        lambda: ObjectStoreSource("s3://bucket/a.mp4", **CLOUD, **HERE),
        lambda: ObjectStoreSource("s3://bucket/a.mp4", session_token=SECRET, **CLOUD, **HERE),
        lambda: ObjectStoreSource("az://box/a.mp4", **AZURE),
        lambda: ObjectStoreSource(
            "az://box/a.mp4",
            account_name="me",
            sas_key=f"sig={SECRET}",
            endpoint="http://127.0.0.1:9",
            attempts=1,
        ),
    ],
    FsspecSource: [
        lambda: FsspecSource(URL),
        lambda: FsspecSource(f"simplecache::{URL}"),
        lambda: FsspecSource(f"zip://a.mp4::{URL}"),
        lambda: FsspecSource(f"sftp://{SECRET}:{SECRET}@127.0.0.1:9/a.mp4", password=SECRET),
        lambda: FsspecSource(fsspec.filesystem("http", headers={"Authorization": SECRET}), URL),
    ],
    FFmpegUrlSource: [
        lambda: FFmpegUrlSource(URL, options={"headers": f"Authorization: {SECRET}"}),
        lambda: FFmpegUrlSource(f"rtsp://{SECRET}:{SECRET}@127.0.0.1:9/a?token={SECRET}"),
    ],
    CachedSource: [lambda: CachedSource(HttpSource(URL, attempts=1))],
    FileObjectSource: [lambda: FileObjectSource(Named(b""))],
    ForwardSource: [lambda: ForwardSource(Named(b"")), lambda: ForwardSource(_upload())],
    MemorySource: [lambda: MemorySource(SECRET.encode())],
    SuperviselyServer: [lambda: SuperviselyServer(URL, SECRET, attempts=1)],
    SuperviselySource: [
        lambda: SuperviselySource(SuperviselyServer(URL, SECRET, attempts=1), 1),
        lambda: SuperviselySource(_sdk(), 1),
    ],
    testing.FaultySource: [lambda: testing.FaultySource(HttpSource(URL, attempts=1))],
    af.Extraction: [
        lambda: af.Extraction(URL, "out", []),
        lambda: af.Extraction(f"simplecache::{URL}", "out", []),
        lambda: af.Extraction(HttpSource(URL), "out", [], errors.SourceAccessError("no", source="a")),
        lambda: af.Extraction(SECRET.encode(), "out", []),
        lambda: af.Extraction(Named(b""), "out", []),
    ],
}

# Classes whose instances are given no address and no header.
WITHOUT = {
    abc.FrameWriter, abc.StreamSource, af.BatchOptions, af.ContactSheet, af.Frame, af.FrameBatch,
    af.FrameTable, af.Packets, af.SourceIdentity, af.Video,
    af.StreamInfo, af.VideoInfo, af.VideoStreamInfo,
    af.PictureOptions, af.FrameOptions, af.OpenOptions, af.SaveOptions, af.SelectionOptions, af.SheetOptions,
    af.IsolationReport, af.Policy, af.WriteOptions,
    LocalSource, sources.ReadCursor, supervisely.SuperviselyApi, sync.Video,
    testing.SourceContract, writers.DirectoryWriter, writers.NpyWriter, writers.TarWriter,
}  # fmt: skip


def public_classes() -> set[type]:
    modules = (af, abc, sources, writers, supervisely, sync, testing)
    found = {getattr(module, name) for module in modules for name in module.__all__}
    return {thing for thing in found if inspect.isclass(thing)}


def texts_of(thing: Any) -> list[str]:
    """All the ways in which an object becomes text, and its attributes that are said to be for that."""
    shown = [repr(thing), str(thing), f"{thing}", f"{[thing]}"]
    return [*shown, str(getattr(thing, "name", "")), str(getattr(thing, "validator", ""))]


def test_every_public_class_is_looked_at() -> None:
    """A class that is added is added here: with its secrets, or as one that can hold none."""
    assert public_classes() - {*MAKERS, *WITHOUT} == set()


@pytest.mark.parametrize(
    "make",
    [make for makers in MAKERS.values() for make in makers],
    ids=lambda make: make.__code__.co_firstlineno,
)
def test_no_representation_tells_a_secret(make: Callable[[], Any]) -> None:
    """Neither `repr` nor `str` nor the name holds user info, a query, a header, a token or a key."""
    assert not [text for text in texts_of(make()) if SECRET in text or "aHVzaC" in text]


def told(exc: BaseException) -> str:
    """Everything that a traceback, a pickle or an attribute of an error says."""
    return (
        "".join(traceback.format_exception(exc)) + f"{exc!r} {vars(exc)} {pickle.loads(pickle.dumps(exc))!r}"
    )


@pytest.mark.anyio
@pytest.mark.parametrize(
    "make",
    [make for kind, makers in MAKERS.items() for make in makers if issubclass(kind, abc.Source)],
    ids=lambda make: make.__code__.co_firstlineno,
)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
async def test_no_error_or_log_tells_a_secret(
    make: Callable[[], abc.Source], caplog: pytest.LogCaptureFixture
) -> None:
    """Where opening fails, reading fails or the source is closed, what is said is said without secrets."""
    caplog.set_level(logging.DEBUG)
    source = make()
    said = []
    reads = [lambda: source.read_range(5, 10)] if isinstance(source, abc.StreamSource) else []
    for use in (source.open, *reads, source.aclose, source.open):
        try:
            async with asyncio.timeout(20):
                await use()
        except (errors.AsyncFramesError, TimeoutError) as exc:
            said.append(told(exc))
    records = [record for record in caplog.records if record.name.startswith("asyncframes")]
    said += [f"{record.getMessage()} {vars(record)}" for record in records]
    assert said
    # The line of this file that makes the source is part of no traceback.
    assert not [text for text in said if SECRET in text or "aHVzaC" in text]


@pytest.mark.anyio
async def test_a_video_tells_no_secret() -> None:
    """Nor does what is known of it."""
    with RunningServer() as server:
        server.serve("/a.mp4", clip_bytes(frames=12))
        url = server.url(f"/a.mp4?sig={SECRET}", host=f"{SECRET}:{SECRET}@127.0.0.1")
        opener = af.open_video(url)
        async with opener as video:
            frame = await video.frame(0)
            said = [text for thing in (opener, video, video.info, frame) for text in texts_of(thing)]
            said.append(repr(await video.frame_table()))
    assert not [text for text in said if SECRET in text]


@pytest.mark.anyio
async def test_results_of_many_tell_no_secret(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What README prints of each result, and the result itself, of videos that fail and that do not."""
    caplog.set_level(logging.INFO, "asyncframes")
    with RunningServer() as server:
        server.serve("/a.mp4", clip_bytes(frames=3))
        server.serve("/b.mp4", b"", default=Reply(status=403))
        url = server.url(f"/a.mp4?sig={SECRET}", host=f"{SECRET}:{SECRET}@127.0.0.1")
        videos = [(url, tmp_path / "a"), (url.replace("a.mp4", "b.mp4"), tmp_path / "b")]
        results = [result async for result in af.extract_many(videos)]
    assert {result.source for result in results} == {source for source, _ in videos}
    said = [f"{result!r} {result.name} {result.error}" for result in results] + [caplog.text]
    assert not [text for text in said if SECRET in text]
    assert {result.name for result in results} == {server.url("/a.mp4"), server.url("/b.mp4")}


@pytest.mark.anyio
async def test_a_session_of_the_callers_is_not_shown() -> None:
    """Its headers are its own."""
    async with aiohttp.ClientSession(headers={"Authorization": SECRET}) as session:
        source = HttpSource("http://127.0.0.1:9/a.mp4", session=session, attempts=1)
        with pytest.raises(errors.SourceUnavailableError) as caught:
            await source.open()
    assert SECRET not in told(caught.value) + repr(source)


@pytest.mark.parametrize(
    "text",
    [
        f"http://{SECRET}:{SECRET}/{SECRET}@host/a.mp4", f"http://{SECRET}:{SECRET}@host:99999/a?{SECRET}",
        f"gopher://{SECRET}@host/?{SECRET}", f"file://{SECRET}@host/?{SECRET}", f"s3://{SECRET}@bucket/key",
        f"s3://{SECRET}@bucket",
    ],
)  # fmt: skip
def test_no_odd_address_tells_a_secret(text: str) -> None:
    """What cannot be opened is named as carefully as what can."""
    for make in (sources.resolve_source, FFmpegUrlSource, HttpSource):
        try:
            shown = repr(make(text))
        except errors.SourceAddressError as exc:
            shown = str(exc)
        assert SECRET not in shown
