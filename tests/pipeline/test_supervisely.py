"""The drop-in for Supervisely's functions, against a platform on loopback."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest

import asyncframes as af
from asyncframes import errors
from asyncframes.supervisely import (
    SuperviselyServer,
    SuperviselySource,
    async_stream_video_frames,
    async_stream_video_frames_to_dir,
    stream_video_frames_to_dir,
)
from tests.support.servers.supervisely_platform import INFO_PATH, TOKEN, Platform
from tests.support.servers.web import Reply, RunningServer
from tests.support.streams.clips import clip_bytes, painted_index

FRAMES = 48
VIDEO = 17


@pytest.fixture
def platform() -> Iterator[Platform]:
    with Platform() as running:
        running.add_video(VIDEO, clip_bytes(frames=FRAMES))
        yield running


@pytest.fixture
def server(platform: Platform) -> SuperviselyServer:
    return SuperviselyServer(platform.address, TOKEN, attempts=2)


class HTTPError(OSError):
    """As requests raises it: an OSError that carries the response."""

    def __init__(self, status: int) -> None:
        super().__init__(f"{status} for url: https://host/public/api with x-api-key {TOKEN}")
        self.response = type("Response", (), {"status_code": status})()


@dataclass
class Api:
    """The members of the SDK's object that are used, its look-up blocking in the caller's thread."""

    server_address: str
    token: str | None = TOKEN
    info: Any = None
    failure: Exception | None = None
    gate: threading.Event | None = None
    asked: list[tuple[int, bool, str]] = field(default_factory=list)

    @property
    def video(self) -> Api:
        return self

    def get_json_info_by_id(
        self,
        id: int,  # noqa: A002 - the SDK's name
        raise_error: bool = False,
        force_metadata_for_links: bool = True,
    ) -> Any:
        self.asked.append((id, force_metadata_for_links, threading.current_thread().name))
        if self.gate is not None:
            self.gate.wait(30)
        if self.failure is not None:
            raise self.failure
        return self.info


def api_for(platform: Platform, **facts: Any) -> Api:
    stored = {"fullStorageUrl": f"http://minio.internal:9000/h5un-public/videos/{VIDEO}/clip.mp4"}
    return Api(platform.address, info=stored, **facts)


async def indices(api: Any, video_id: int = VIDEO, **options: Any) -> list[int]:
    """Collect frames and check that each shows its own index."""
    found = []
    async for index, image in async_stream_video_frames(api, video_id, **options):
        assert painted_index(image) == index
        found.append(index)
    return found


# What is asked for


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, range(FRAMES)),
        ({"start": 0, "end": 9}, range(10)),
        ({"start": 40}, range(40, FRAMES)),
        ({"end": 0}, range(1)),
        ({"start": 46, "end": 1000}, [46, 47]),
        ({"start": -3, "end": 4}, range(5)),
        ({"start": 20, "end": 22, "queue_maxsize": 1}, [20, 21, 22]),
    ],
)
async def test_a_range_is_inclusive_and_clamps(
    server: SuperviselyServer, options: dict[str, int], expected: Any
) -> None:
    """Both ends are included; a negative start is the first frame, an end past the last one is the last."""
    assert await indices(server, **options) == list(expected)


@pytest.mark.anyio
@pytest.mark.parametrize("options", [{"start": 5, "end": 4}, {"end": -1}, {"start": -9, "end": -2}])
async def test_an_empty_range_is_refused(server: SuperviselyServer, options: dict[str, int]) -> None:
    """An end before the start is an error before anything is asked, where the SDK gives one frame."""
    with pytest.raises(ValueError, match="both inclusive"):
        await indices(server, **options)


@pytest.mark.anyio
async def test_a_start_past_the_end_is_an_index_error(server: SuperviselyServer) -> None:
    """It is an `IndexError` as the SDK's is, and says how many frames there are."""
    with pytest.raises(IndexError, match="48 frames") as caught:
        await indices(server, start=FRAMES)
    assert isinstance(caught.value, errors.FrameIndexError)


@pytest.mark.anyio
async def test_a_slow_consumer_gets_each_frame_once(server: SuperviselyServer) -> None:
    """A queue that stays full neither repeats frames nor loses any, as the SDK's does after 0.2 s."""
    found = []
    async for index, _ in async_stream_video_frames(server, VIDEO, 0, 4, queue_maxsize=1):
        await asyncio.sleep(0.25 if index in {0, 3} else 0)
        found.append(index)
    assert found == [0, 1, 2, 3, 4]


@pytest.mark.anyio
async def test_damaged_frames_are_left_out_with_a_warning(
    platform: Platform, server: SuperviselyServer, caplog: pytest.LogCaptureFixture
) -> None:
    """The frames around damage come, and the log says which do not."""
    with_hole = bytearray(clip_bytes(frames=FRAMES, b_frames=0, gop=1, codec="mpeg4"))
    middle = len(with_hole) // 2
    with_hole[middle : middle + 700] = bytes(700)
    platform.add_video(3, bytes(with_hole))
    with caplog.at_level(logging.WARNING, "asyncframes"):
        found = [index async for index, _ in async_stream_video_frames(server, 3)]
    assert 0 < len(found) < FRAMES
    assert found == sorted(set(found))
    assert "is damaged" in caplog.text


@pytest.mark.anyio
@pytest.mark.parametrize("tag", [None, "bt709"])
async def test_colours_are_the_sdks(platform: Platform, server: SuperviselyServer, tag: str | None) -> None:
    """Without a tag the matrix is BT.601 at every size, as FFmpeg takes it; a tag is heeded."""
    options = {"x264-params": f"colormatrix={tag}:colorprim={tag}"} if tag else {}
    data = clip_bytes(frames=2, width=1280, height=64, options=options)
    platform.add_video(6, data)
    [(_, image)] = [found async for found in async_stream_video_frames(server, 6, 0, 0)]
    async with af.open_video(data) as video:
        expected = await video.frame(0, color_matrix="bt709" if tag else "bt601")
        other = await video.frame(0, color_matrix="bt601" if tag else "bt709")
    assert np.array_equal(image, expected.image)
    assert not np.array_equal(image, other.image)


# Files


@pytest.mark.anyio
@pytest.mark.parametrize("ext", ["png", "jpg", "bmp"])
async def test_paths_are_absolute_in_order_and_named_as_the_sdk_names_them(
    server: SuperviselyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ext: str
) -> None:
    """Each file shows the frame of its name, also where the directory is given relatively."""
    monkeypatch.chdir(tmp_path)
    steps: list[int] = []
    paths = await async_stream_video_frames_to_dir(server, VIDEO, "a/b", 8, 11, ext, steps.append)
    assert paths == [str(tmp_path / "a" / "b" / f"frame_{index:06d}.{ext}") for index in range(8, 12)]
    assert [painted_index(iio.imread(path)) for path in paths] == [8, 9, 10, 11]
    assert steps == [1, 1, 1, 1]


@pytest.mark.anyio
async def test_files_that_are_there_are_replaced(server: SuperviselyServer, tmp_path: Path) -> None:
    """A second run writes over the first, as the SDK does; nothing else is in the directory."""
    (tmp_path / "frame_000000.png").write_bytes(b"old")
    for _ in range(2):
        await async_stream_video_frames_to_dir(server, VIDEO, str(tmp_path), end=0)
    assert [painted_index(iio.imread(path)) for path in tmp_path.iterdir()] == [0]


@pytest.mark.anyio
async def test_progress_comes_after_the_write(server: SuperviselyServer, tmp_path: Path) -> None:
    """Whenever the callback is called, as many files are there as it has been told of."""
    done = 0

    def count(step: int) -> None:
        nonlocal done
        done += step
        assert len(list(tmp_path.glob("frame_*.png"))) >= done

    await async_stream_video_frames_to_dir(server, VIDEO, str(tmp_path), end=9, progress_cb=count)
    assert done == 10


@pytest.mark.anyio
async def test_the_callers_writer_gets_the_final_path(server: SuperviselyServer, tmp_path: Path) -> None:
    """It is called in threads, as many at once as asked, and may write elsewhere or nowhere."""
    seen: dict[str, int] = {}
    together = threading.Barrier(8)

    def keep(path: str, image: af.Image) -> bool:
        together.wait(10)
        assert threading.current_thread() is not threading.main_thread()
        seen[path] = painted_index(image)
        return False

    paths = await async_stream_video_frames_to_dir(
        server, VIDEO, str(tmp_path), end=15, ext="raw", image_writer=keep, max_write_workers=8
    )
    assert paths == [str(tmp_path / f"frame_{index:06d}.raw") for index in range(16)]
    assert [seen[path] for path in paths] == list(range(16))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.anyio
async def test_a_coroutine_function_may_write(server: SuperviselyServer, tmp_path: Path) -> None:
    """What an image_writer returns is awaited where it can be."""
    seen: list[int] = []

    async def keep(path: str, image: af.Image) -> None:
        assert path.endswith(".png")
        seen.append(painted_index(image))

    await async_stream_video_frames_to_dir(server, VIDEO, str(tmp_path), end=5, image_writer=keep)
    assert sorted(seen) == list(range(6))


@pytest.mark.anyio
async def test_a_failing_writer_ends_the_run(server: SuperviselyServer, tmp_path: Path) -> None:
    """Its own exception comes out as it is, before the rest is decoded."""
    calls: list[str] = []

    def fail(path: str, image: af.Image) -> None:
        calls.append(path)
        raise KeyError(path)

    with pytest.raises(KeyError, match="frame_0000"):
        await async_stream_video_frames_to_dir(server, VIDEO, str(tmp_path), image_writer=fail)
    assert len(calls) < 2 * 4


@pytest.mark.anyio
@pytest.mark.parametrize("wrong", [{"max_write_workers": 0}, {"queue_maxsize": 0}, {"ext": "exe"}])
async def test_wrong_numbers_are_refused(
    server: SuperviselyServer, tmp_path: Path, wrong: dict[str, Any]
) -> None:
    """Where the SDK waits for ever, fills the memory or fails after decoding, a `ValueError` comes first."""
    with pytest.raises(ValueError, match=r"max_write_workers|queue_maxsize|exe"):
        await async_stream_video_frames_to_dir(server, VIDEO, str(tmp_path), **wrong)


@pytest.mark.anyio
async def test_decoding_progress_shows_bars(
    server: SuperviselyServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bars are named as the SDK's are, with the number of the video."""
    await async_stream_video_frames_to_dir(server, VIDEO, str(tmp_path), 40, 41, show_decoding_progress=True)
    shown = capsys.readouterr().err
    assert f"Demuxing video ID {VIDEO}" in shown
    assert f"Decoding video ID {VIDEO}" in shown


# The blocking twin


def test_the_blocking_twin(server: SuperviselyServer, tmp_path: Path) -> None:
    """It returns the same paths from a plain script."""
    steps: list[int] = []
    paths = stream_video_frames_to_dir(
        server, video_id=VIDEO, output_dir=str(tmp_path), start=0, end=9, progress_cb=steps.append
    )
    assert [painted_index(iio.imread(path)) for path in paths] == list(range(10))
    assert sum(steps) == 10


@pytest.mark.anyio
async def test_the_blocking_twin_inside_a_running_loop(server: SuperviselyServer, tmp_path: Path) -> None:
    """It works there too."""
    assert len(stream_video_frames_to_dir(server, VIDEO, str(tmp_path), 0, 1)) == 2


def test_the_twins_have_one_signature() -> None:
    """Parameters, order and defaults are the same."""
    blocking = inspect.signature(stream_video_frames_to_dir)
    assert blocking == inspect.signature(async_stream_video_frames_to_dir)
    assert list(inspect.signature(async_stream_video_frames).parameters) == [
        name
        for name in blocking.parameters
        if name in {"api", "video_id", "start", "end", "queue_maxsize", "show_decoding_progress"}
    ]


# The API object


@pytest.mark.anyio
async def test_the_sdk_is_asked_once_in_a_thread(platform: Platform) -> None:
    """The loop goes on while its look-up blocks; the SDK is not asked to compute metadata."""
    gate = threading.Event()
    api = api_for(platform, gate=gate)
    task = asyncio.create_task(indices(api, start=20, end=21))
    await asyncio.sleep(0.1)
    gate.set()  # reached only if the loop runs
    assert await task == [20, 21]
    [(video_id, forces_metadata, thread)] = api.asked
    assert (video_id, forces_metadata) == (VIDEO, False)
    assert thread != threading.main_thread().name


@pytest.mark.anyio
async def test_a_look_up_that_hangs_is_not_waited_for(platform: Platform) -> None:
    """Nothing can stop the SDK's call, so neither a cancelled caller nor one out of time waits for it."""
    gate = threading.Event()
    api = api_for(platform, gate=gate)
    task = asyncio.create_task(indices(api))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(20):
        source = SuperviselySource(api, VIDEO, lookup_timeout_seconds=0.05)
        with pytest.raises(errors.SourceTimeoutError, match=r"0\.05 s"):
            await source.open()
        await source.aclose()
    assert len(api.asked) == 2
    gate.set()


def test_a_look_up_outlives_its_loop(platform: Platform) -> None:
    """The end of the loop does not wait for a call that nobody awaits, nor does the call mind."""
    gate = threading.Event()
    api = api_for(platform, gate=gate)

    async def give_up() -> None:
        with pytest.raises(errors.SourceTimeoutError):
            await SuperviselySource(api, VIDEO, lookup_timeout_seconds=0.05).open()

    asyncio.run(give_up())
    gate.set()
    for thread in threading.enumerate():
        if thread.name == "asyncframes call":
            thread.join(10)
            assert not thread.is_alive()


@pytest.mark.anyio
async def test_the_address_is_the_servers_as_it_is_after_the_look_up(platform: Platform) -> None:
    """The SDK may correct its server_address on its first request; path and query of the storage stay."""

    class Correcting(Api):
        def get_json_info_by_id(self, *args: Any, **options: Any) -> Any:
            self.server_address = platform.address
            return super().get_json_info_by_id(*args, **options)

    stored = f"https://minio.internal/h5un-public/videos/{VIDEO}/clip.mp4?part=1"
    assert await indices(Correcting("http://wrong.invalid", info={"fullStorageUrl": stored}), end=0) == [0]
    assert {request.target for request in platform.storage_requests} == {
        f"/h5un-public/videos/{VIDEO}/clip.mp4?part=1"
    }


@pytest.mark.anyio
async def test_without_a_token_no_header_is_sent(platform: Platform) -> None:
    """As the SDK does; a storage that asks for one refuses."""
    with pytest.raises(errors.SourceAccessError, match="401"):
        await indices(api_for(platform, token=None))
    assert "x-api-key" not in platform.storage_requests[0].headers


@pytest.mark.anyio
async def test_nothing_is_refreshed(platform: Platform, server: SuperviselyServer) -> None:
    """Where the video is stored is asked once; when that stops working, reads fail."""
    served = platform.add_video(VIDEO, bytes(300_000))
    async with SuperviselySource(server, VIDEO) as source:
        assert source.size == 300_000
        served.default = Reply(status=403)
        for _ in range(2):
            with pytest.raises(errors.SourceAccessError, match="403"):
                await source.read_range(200_000, 200_010)
    assert [request.path for request in platform.requests].count(INFO_PATH) == 1


# Errors


@pytest.mark.anyio
async def test_an_unknown_video(platform: Platform, server: SuperviselyServer) -> None:
    """Both ways to ask say that there is none; the SDK fails with an AttributeError."""
    for api in (server, api_for(platform)):
        if isinstance(api, Api):
            api.info = None
        with pytest.raises(errors.SourceNotFoundError, match="no such video"):
            await indices(api, 404)


@pytest.mark.anyio
async def test_a_video_that_is_not_processed(platform: Platform, server: SuperviselyServer) -> None:
    """It has no storage URL yet, which is a RuntimeError as in the SDK."""
    platform.add_unprocessed(9)
    with pytest.raises(errors.SourceNotReadyError, match="not processed yet") as caught:
        await indices(server, 9)
    assert isinstance(caught.value, RuntimeError)


@pytest.mark.anyio
async def test_a_refused_token(platform: Platform) -> None:
    """The platform's refusal and the storage's are the same error; neither tells the token."""
    wrong = SuperviselyServer(platform.address, "wrong" + TOKEN)
    with pytest.raises(errors.SourceAccessError, match="403") as caught:
        await indices(wrong)
    assert TOKEN not in _all_texts(caught.value)
    with pytest.raises(errors.SourceAccessError, match="401") as caught:
        await indices(api_for(platform, token="wrong" + TOKEN))
    assert TOKEN not in _all_texts(caught.value)


@pytest.mark.anyio
async def test_a_server_that_is_down(platform: Platform) -> None:
    """It is told from one that refuses."""
    with RunningServer() as gone:
        address = gone.url("")
    with pytest.raises(errors.SourceUnavailableError, match="connection to the server failed"):
        await indices(SuperviselyServer(address, TOKEN, attempts=1))
    platform.info_replies += [Reply(status=503), Reply(status=503)]
    with pytest.raises(errors.SourceUnavailableError, match="503"):
        await indices(SuperviselyServer(platform.address, TOKEN, attempts=2))
    platform.info_replies += [Reply(status=502)]
    assert await indices(SuperviselyServer(platform.address, TOKEN, attempts=2), end=0) == [0]


@pytest.mark.anyio
async def test_a_storage_that_forwards_gets_no_token(platform: Platform, server: SuperviselyServer) -> None:
    """Another host serves the bytes without it, or its refusal is a named error; the token stays at home."""
    with RunningServer() as other:
        other.serve("/clip.mp4", clip_bytes(frames=FRAMES))
        platform.forward(2, other.url("/clip.mp4"))
        assert await indices(server, 2, end=3) == [0, 1, 2, 3]
        other.serve("/closed.mp4", b"", default=Reply(status=403))
        platform.forward(3, other.url("/closed.mp4"))
        with pytest.raises(errors.SourceAccessError, match="403"):
            await indices(server, 3)
        platform.forward(4, "ftp://elsewhere/clip.mp4")
        with pytest.raises(errors.SourceAccessError, match="its scheme is ftp"):
            await indices(server, 4)
        assert other.requests
        assert not any(TOKEN in str(request.headers) for request in other.requests)


@pytest.mark.anyio
async def test_an_api_that_redirects_is_not_followed(platform: Platform, server: SuperviselyServer) -> None:
    """The error names the new address, and the token is not sent there."""
    with RunningServer() as other:
        platform.info_replies += [Reply(status=301, headers={"Location": other.url(INFO_PATH)})]
        with pytest.raises(errors.SourceAccessError, match=f"redirects its API to {other.url('')}"):
            await indices(server)
        assert not other.requests


@pytest.mark.anyio
@pytest.mark.parametrize("body", [b"<html>log in</html>", b"[]", b"\xff"])
async def test_what_is_no_supervisely_server(
    platform: Platform, server: SuperviselyServer, body: bytes
) -> None:
    """A page or other JSON in place of a video's facts is said to be that."""
    platform.info_replies += [Reply(body=body)]
    with pytest.raises(errors.SourceNotFoundError, match="no Supervisely API"):
        await indices(server)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (HTTPError(401), errors.SourceAccessError),
        (HTTPError(403), errors.SourceAccessError),
        (HTTPError(400), errors.SourceAccessError),
        (HTTPError(404), errors.SourceNotFoundError),
        (HTTPError(503), errors.SourceUnavailableError),
        (OSError("Retry limit exceeded"), errors.SourceUnavailableError),
        (TimeoutError(), errors.SourceTimeoutError),
        (RuntimeError(f"Request has failed with {TOKEN}"), errors.SourceUnavailableError),
    ],
)
async def test_what_the_sdk_raises_is_translated(
    platform: Platform, failure: Exception, expected: type[errors.SourceError]
) -> None:
    """Statuses keep their meaning, and a cause that would tell the token is dropped."""
    with pytest.raises(expected) as caught:
        await indices(api_for(platform, failure=failure))
    assert TOKEN not in _all_texts(caught.value)
    assert (caught.value.__cause__ is None) == (TOKEN in str(failure))


@pytest.mark.anyio
async def test_a_bug_of_the_api_object_is_not_hidden(platform: Platform) -> None:
    """An object without the members asked for is the caller's mistake, and is shown as such."""
    with pytest.raises(AttributeError, match="video"):
        await indices(object())
    with pytest.raises(ValueError, match="expected an http or https address"):
        await indices(Api("elsewhere", info={"fullStorageUrl": "http://a/b"}))


@pytest.mark.parametrize("token", ["a b", "a\r\nx-evil: 1", "Bätch"])
def test_a_token_that_cannot_be_one(token: str) -> None:
    """It is refused without being shown."""
    with pytest.raises(ValueError, match="API token") as caught:
        SuperviselyServer("https://host", token)
    assert token not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("app.supervisely.com", "https://app.supervisely.com"),
        ("http://10.0.0.1:8080/", "http://10.0.0.1:8080"),
        (" https://host ", "https://host"),
    ],
)
def test_addresses_of_servers(given: str, address: str) -> None:
    """Without a scheme https is meant: a token should not travel in the clear by accident."""
    assert SuperviselyServer(given, TOKEN).server_address == address


def test_neither_shows_the_token() -> None:
    """Not in reprs and names, nor the password in an address."""
    server = SuperviselyServer("https://user:pass@host", TOKEN)
    source = SuperviselySource(server, 5)
    shown = f"{server!r} {server.name} {source!r} {source.name}"
    assert TOKEN not in shown
    assert "pass" not in shown
    assert source.name == "supervisely://5"


def _all_texts(exc: BaseException | None) -> str:
    """Join the texts of an exception and of all that it is chained to."""
    texts = ""
    while exc is not None:
        texts += f"{exc!s} {exc!r} "
        exc = exc.__cause__ or exc.__context__
    return texts
