"""The policy: its fields, what each of them stops, and that every call takes one."""

from __future__ import annotations

import asyncio
import base64
import inspect
import io
import os
import pickle
import re
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import FrozenInstanceError, dataclass, fields, replace
from pathlib import Path
from typing import Any

import fsspec
import pytest
import yarl
from obstore.store import LocalStore

import asyncframes as af
from asyncframes._media.codec.decoder import Decoder
from asyncframes._media.container import limits
from asyncframes._requests.limits import CpuBudget, Meter
from asyncframes.errors import (
    DeadlineError,
    MediaLimitError,
    PolicyAccessError,
    PolicyError,
    PolicyLimitError,
    SourceLimitError,
)
from asyncframes.sources import _data_url
from asyncframes.testing import FaultySource
from asyncframes.writers import NpyWriter
from tests.support.streams.clips import clip_bytes, painted_index

pytestmark = pytest.mark.anyio

FRAMES = 12
CLIP = clip_bytes(frames=FRAMES)
WEBM = clip_bytes(frames=FRAMES, codec="libvpx-vp9", container="webm", b_frames=0)
TRUSTED, UNTRUSTED = af.Policy.trusted(), af.Policy.untrusted()
NAMES = [one.name for one in fields(af.Policy)]
IMAGE = 96 * 64 * 3


async def chunks(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 1000):
        yield data[start : start + 1000]


def data_url(data: bytes) -> str:
    return "data:video/mp4;base64," + base64.b64encode(data).decode()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    path.write_bytes(CLIP)
    return path


async def all_frames(source: Any, **options: Any) -> list[int]:
    return [painted_index(image) async for _, image in af.stream_frames(source, **options)]


def test_a_policy_is_a_value() -> None:
    """Frozen, compared by its fields, hashable, and keyword-only; it travels to other processes."""
    for policy in (TRUSTED, UNTRUSTED, replace(UNTRUSTED, hosts=["*.example.com", "10.0.0.0/8"])):
        arrived = pickle.loads(pickle.dumps(policy))
        assert arrived == policy
        assert hash(arrived) == hash(policy)
    assert af.Policy() == TRUSTED
    with pytest.raises(FrozenInstanceError):
        TRUSTED.max_pixels = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        af.Policy({"https"})  # type: ignore[call-arg]


def test_every_field_is_documented() -> None:
    """By name, with its default, and with what it is for other people's files."""
    text = (inspect.getdoc(af.Policy) or "").partition("Attributes\n")[2] + "\n"
    entries = re.findall(r"^(\w+(?:, \w+)*)\n((?:    .*\n)+)", text, re.M)
    assert [name for names, _ in entries for name in names.split(", ")] == NAMES
    for names, about in entries:
        assert "default" in about, names
        assert "ntrusted" in about, names


def test_the_policy_for_other_people_limits_everything() -> None:
    """No field is unlimited, and each is as strict as the default one, or has a reason in its description."""
    # Without a number of its own, `max_workers` is the number of CPUs.
    assert None not in {getattr(UNTRUSTED, name) for name in NAMES if name != "max_workers"}
    assert UNTRUSTED.schemes == {"data", "http", "https"}
    assert UNTRUSTED.hosts == {"public"}
    assert UNTRUSTED.max_redirects < TRUSTED.max_redirects
    assert UNTRUSTED.max_pixels == 36 * 2**20 < TRUSTED.max_pixels
    assert UNTRUSTED.max_frames == 2_000_000


@pytest.mark.parametrize(
    ("changes", "error", "expected"),
    [
        ({"max_redirects": -1}, ValueError, "max_redirects=-1: expected 0 or more"),
        ({"max_pixels": 0}, ValueError, "max_pixels=0: expected 1 or more"),
        ({"max_frames": 0}, ValueError, "max_frames=0: expected 1 or more"),
        ({"max_source_bytes": 0}, ValueError, "max_source_bytes=0: expected 1 or more"),
        ({"max_read_bytes": 0}, ValueError, "max_read_bytes=0: expected 1 or more, or 'needed'"),
        ({"max_read_bytes": "all"}, TypeError, "max_read_bytes='all': expected a number, or 'needed'"),
        ({"max_output_frames": 0}, ValueError, "max_output_frames=0: expected 1 or more"),
        ({"max_output_bytes": True}, TypeError, "max_output_bytes=True: expected a number"),
        ({"min_bytes_per_second": -1}, ValueError, "min_bytes_per_second=-1: expected 0 or more"),
        ({"max_duration_seconds": 0}, ValueError, "max_duration_seconds=0: expected more than 0, or None"),
        ({"max_fps": float("nan")}, ValueError, "max_fps=nan"),
        ({"deadline_seconds": -1}, ValueError, "deadline_seconds=-1: expected more than 0, or None"),
        ({"cpu_seconds": "1"}, TypeError, "cpu_seconds='1': expected a number"),
        ({"schemes": "https"}, TypeError, "schemes='https': expected several names"),
        ({"schemes": ["https://"]}, ValueError, "schemes: 'https://' is invalid"),
        ({"hosts": "example.com"}, TypeError, "hosts='example.com': expected several names"),
        ({"hosts": ["http://a"]}, ValueError, "hosts: 'http://a' is invalid"),
        ({"codecs": [1]}, TypeError, "codecs: 1 is not a name"),
    ],
)
def test_a_field_that_is_invalid_is_refused_at_once(
    changes: dict[str, Any], error: type[Exception], expected: str
) -> None:
    """By its name and value, when the policy is made."""
    with pytest.raises(error, match=f"^{re.escape(expected)}"):
        af.Policy(**changes)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"schemes": ["https", "htps"]}, "schemes: no source opens 'htps' addresses"),
        ({"codecs": ["h264", "h246"]}, "codecs: this FFmpeg has no decoder of video 'h246'"),
        ({"codecs": ["aac"]}, "codecs: this FFmpeg has no decoder of video 'aac'"),
        ({"containers": ["mp5"]}, "containers: this FFmpeg has no demuxer 'mp5'"),
        ({"containers": ["hls"]}, "containers: hls is never allowed"),
    ],
)
def test_an_unknown_name_is_refused_by_name(changes: dict[str, Any], expected: str) -> None:
    """When a video is opened with the policy, before anything is read."""
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}"):
        af.open_video(CLIP, policy=af.Policy(**changes))


@pytest.mark.parametrize("policy", ["untrusted", af.Policy.untrusted, af.Policy])
def test_what_is_no_policy_is_refused_by_name(policy: Any) -> None:
    """Its name, or the function that makes it, is not one."""
    with pytest.raises(TypeError, match=r"^policy=.*: expected a Policy, such as Policy\.untrusted\(\)"):
        af.open_video(CLIP, policy=policy)


@dataclass(frozen=True)
class Stopped:
    """What one field stops.

    Attributes
    ----------
    allowed, found
        The limit, and what exceeds it.
    looser
        A limit that lets the same pass.
    run
        What is done, with a policy.
    error
        Class of the error.
    """

    limit: str
    allowed: Any
    found: Any
    looser: Any
    run: Callable[[af.Policy], Awaitable[Any]]
    error: type[PolicyError] = PolicyLimitError
    also: type[Exception] = ValueError

    def __str__(self) -> str:
        return f"{self.limit}, {getattr(self.run, '__name__', '')}"


def frames_of(source: Any = CLIP, **selection: Any) -> Callable[[af.Policy], Awaitable[Any]]:
    async def frames(policy: af.Policy) -> list[int]:
        return await all_frames(source(CLIP) if callable(source) else source, policy=policy, **selection)

    frames.__name__ = f"frames {', '.join(selection)} of {getattr(source, '__name__', 'bytes')}"
    return frames


def calling(name: str, *arguments: Any, **options: Any) -> Callable[[af.Policy], Awaitable[Any]]:
    async def call(policy: af.Policy) -> Any:
        async with af.open_video(CLIP, policy=policy) as video:
            result = getattr(video, name)(*arguments, **options)
            return [one async for one in result] if hasattr(result, "__anext__") else await result

    call.__name__ = name
    return call


async def saved(policy: af.Policy) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        return await af.stream_frames_to_dir(CLIP, folder, policy=policy)


async def written(policy: af.Policy) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        return await af.stream_frames_to_writer(CLIP, NpyWriter(Path(folder, "a.npy")), policy=policy)


async def extracted(policy: af.Policy) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        [extraction] = [one async for one in af.extract_many([(CLIP, folder)], policy=policy)]
        if extraction.error is not None:
            raise extraction.error
        return extraction.paths


async def blocking(policy: af.Policy) -> list[int]:
    return [painted_index(image) for _, image in af.sync.stream_frames(CLIP, policy=policy)]


async def blocking_files(policy: af.Policy) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        return af.sync.stream_frames_to_dir(CLIP, folder, policy=policy)


def named(run: Callable[..., Any]) -> str:
    return run.__name__


async def stored_table(policy: af.Policy) -> int:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "clip.mp4")
        path.write_bytes(CLIP)
        for limit in (TRUSTED, policy):
            async with af.open_video(path, policy=limit, table_cache=Path(folder, "tables")) as video:
                count = await video.count()
    return count


async def frames_of_path(policy: af.Policy) -> list[int]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "clip.mp4")
        path.write_bytes(CLIP)
        return await all_frames(path, policy=policy)


SIZE = len(CLIP)
OUTPUT = Stopped("max_output_frames", FRAMES - 1, FRAMES, FRAMES, frames_of())
OUTPUT_BYTES = Stopped("max_output_bytes", FRAMES * IMAGE - 1, FRAMES * IMAGE, FRAMES * IMAGE, frames_of())
STOPPED = [
    *(
        Stopped("max_source_bytes", SIZE - 1, SIZE, SIZE, run, SourceLimitError)
        for run in (*map(frames_of, (bytes, io.BytesIO, data_url, chunks)), frames_of_path)
    ),
    *(
        replace(case, run=run)
        for case in (OUTPUT, OUTPUT_BYTES)
        for run in (
            frames_of(),
            frames_of(indices=range(FRAMES)),
            frames_of(start=0, end=FRAMES - 1),
            calling("batch"),
            calling("frames", times=[index / 25 for index in range(FRAMES)]),
            saved,
            written,
            extracted,
            blocking,
            blocking_files,
        )
    ),
    replace(OUTPUT, allowed=3, found=4, looser=4, run=frames_of(indices=[1, 1, 1, 1])),
    Stopped("max_pixels", 96 * 64 - 1, 96 * 64, 96 * 64, frames_of(), MediaLimitError),
    Stopped("max_frames", FRAMES - 1, FRAMES, FRAMES, calling("count"), MediaLimitError),
    Stopped("max_frames", FRAMES - 1, FRAMES, FRAMES, stored_table, MediaLimitError),
    Stopped("max_duration_seconds", 0.4, None, 0.5, frames_of(), MediaLimitError),
    Stopped("max_fps", 24.9, None, 25.1, frames_of(), MediaLimitError),
    Stopped("codecs", ["vp9", "hevc"], "h264", ["h264"], frames_of(), MediaLimitError),
    Stopped("containers", ["webm"], "mp4", ["mov"], frames_of(), MediaLimitError),
    Stopped("cpu_seconds", 1e-9, None, 600, frames_of(queue_maxsize=1), PolicyLimitError),
]


@pytest.mark.parametrize("case", STOPPED, ids=str)
async def test_each_field_stops_what_exceeds_it(case: Stopped) -> None:
    """By one error that names the limit, what it allows and what was found; and nothing within the limit."""
    with pytest.raises(PolicyError) as caught:
        await case.run(af.Policy(**{case.limit: case.allowed}))
    error = caught.value
    assert isinstance(error, (case.error, case.also))
    assert isinstance(error, ValueError)
    assert error.limit == case.limit
    assert error.allowed == (tuple(sorted(case.allowed)) if isinstance(case.allowed, list) else case.allowed)
    if case.found is not None:
        assert error.found == case.found
    assert len(str(error)) < 400
    arrived = pickle.loads(pickle.dumps(error))
    assert (type(arrived), str(arrived), arrived.limit) == (type(error), str(error), case.limit)
    assert await case.run(af.Policy(**{case.limit: case.looser}))


@pytest.mark.parametrize("most", [10, 2**40])
async def test_no_picture_is_decoded_to_learn_that_it_is_too_large(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FFmpeg decodes the first picture of VP9 to describe a file, whatever its size, unless it is told."""
    monkeypatch.setattr(limits, "_MOST_ROWS", 0)
    if most > 10:
        assert await all_frames(WEBM, policy=af.Policy(max_pixels=most)) == list(range(FRAMES))
        return
    with pytest.raises(MediaLimitError, match="size of the pictures is unknown, or exceeds max_pixels=10"):
        await all_frames(WEBM, policy=af.Policy(max_pixels=most))
    with pytest.raises(MediaLimitError, match="pictures of 96x64 exceed max_pixels=10"):
        await all_frames(WEBM, max_pixels=most)


async def test_pictures_that_grow_beyond_the_limit_end_a_request() -> None:
    """The frames before them are delivered; without a policy they count as damaged."""
    small, large = (
        clip_bytes(frames=5, width=width, height=width, codec="libx265", container="hevc", b_frames=0)
        for width in (96, 320)
    )
    for threads in (1, 3):
        seen = []
        with pytest.raises(MediaLimitError, match="pictures of 320x320 exceed max_pixels=20000") as caught:
            async for index, _ in af.stream_frames(
                small + large, policy=af.Policy(max_pixels=20_000), threads=threads, on_corrupt="skip"
            ):
                seen.append(index)
        assert seen == list(range(5))
        assert caught.value.found == 320 * 320
    assert len(await all_frames(small + large, max_pixels=20_000, on_corrupt="skip")) == 5
    assert len(await all_frames(small + large, policy=af.Policy(max_pixels=320 * 320))) == 10


async def test_a_table_shows_what_a_header_hides() -> None:
    """A clip whose header claims nothing is refused once its table is known."""
    clip = clip_bytes(frames=8, codec="libvpx-vp9", container="webm", b_frames=0, pts=[*range(7), 500])
    policy = af.Policy(max_duration_seconds=19)
    with pytest.raises(MediaLimitError) as caught:
        async with af.open_video(chunks(clip), policy=policy) as video:
            await video.count()
    assert caught.value.limit == "max_duration_seconds"
    assert isinstance(caught.value.found, float)
    assert caught.value.found >= 20


SOURCES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "path": (str, "file"),
    "pathlib": (lambda path: path, "file"),
    "file: URL": (lambda path: path.as_uri(), "file"),
    "FILE: URL": (lambda path: path.as_uri().replace("file:", "FILE:"), "file"),
    "parsed URL": (lambda path: yarl.URL(path.as_uri()), "file"),
    "LocalSource": (af.LocalSource, "file"),
    "cached": (lambda path: af.sources.CachedSource(af.LocalSource(path)), "file"),
    "faulty": (lambda path: FaultySource(af.LocalSource(path)), "file"),
    "descriptor": (lambda path: os.open(path, os.O_RDONLY), "file"),
    "fsspec local": (lambda path: f"local://{path}", "file"),
    "fsspec chain": (lambda path: f"simplecache::local://{path}", "simplecache"),
    "fsspec archive": (lambda path: f"zip://clip.mp4::{path}", "zip"),
    "fsspec source": (lambda path: af.FsspecSource(f"local://{path}"), "file"),
    "fsspec file": (lambda path: fsspec.open(str(path)), "file"),
    "obstore": (lambda path: af.ObjectStoreSource(LocalStore(str(path.parent)), path=path.name), "file"),
    "s3": (lambda _: "s3://bucket/clip.mp4", "s3"),
    "gs": (lambda _: "gs://bucket/clip.mp4", "gs"),
    "ftp": (lambda _: "ftp://host/clip.mp4", "ftp"),
    "unknown": (lambda _: "gopher://host/clip.mp4", "gopher"),
    "rtsp": (lambda _: af.FFmpegUrlSource("rtsp://host/a"), "rtsp"),
}


@pytest.mark.parametrize("kind", SOURCES)
async def test_what_is_ours_is_refused_to_other_people(kind: str, path: Path) -> None:
    """A source that is no https, http or data: URL needs its scheme by name, and is not touched before."""
    make, scheme = SOURCES[kind]
    source = make(path)
    try:
        with pytest.raises(PolicyAccessError) as caught:
            af.open_video(source, policy=UNTRUSTED)
        assert isinstance(caught.value, PermissionError)
        assert (caught.value.limit, caught.value.found) == ("schemes", scheme)
        assert caught.value.allowed == ("data", "http", "https")
    finally:
        if isinstance(source, int):
            os.close(source)


@pytest.mark.parametrize("kind", [kind for kind, (_, scheme) in SOURCES.items() if scheme == "file"])
async def test_what_is_allowed_by_name_is_opened(kind: str, path: Path) -> None:
    """``file`` covers every way to name a local file."""
    source = SOURCES[kind][0](path)
    try:
        assert await all_frames(source, policy=replace(UNTRUSTED, schemes={"file"})) == list(range(FRAMES))
    finally:
        if isinstance(source, int):
            os.close(source)


@pytest.mark.parametrize(
    "make", [bytes, io.BytesIO, chunks, data_url, memoryview], ids=lambda make: make.__name__
)
@pytest.mark.parametrize("clip", [CLIP, WEBM], ids=["mp4", "webm"])
async def test_what_browsers_and_phones_record_is_decoded_all_the_same(
    make: Callable[[bytes], Any], clip: bytes
) -> None:
    """Bytes that the caller holds are nobody's address, and frames are those without a policy."""
    expected = [image.tobytes() async for _, image in af.stream_frames(clip)]
    assert [image.tobytes() async for _, image in af.stream_frames(make(clip), policy=UNTRUSTED)] == expected
    assert len(expected) == FRAMES


@pytest.mark.parametrize(
    ("container", "codec", "limit", "found"),
    [
        ("avi", "mpeg4", "containers", "avi"),
        ("mpegts", "libx264", "containers", "mpegts"),
        ("flv", "libx264", "containers", "flv"),
        ("mov", "mjpeg", "codecs", "mjpeg"),
    ],
)
async def test_what_they_do_not_record_is_refused_by_name(
    container: str, codec: str, limit: str, found: str
) -> None:
    """Rare demuxers and decoders do not run on other people's bytes."""
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    clip = clip_bytes(frames=4, container=container, codec=codec, b_frames=0, pixel_format=pixels)
    with pytest.raises(MediaLimitError) as caught:
        await all_frames(clip, policy=UNTRUSTED)
    assert (caught.value.limit, caught.value.found) == (limit, found)


async def test_no_other_decoder_runs_to_describe_a_file() -> None:
    """Sound is described by its header alone, and the video decodes."""
    clip = clip_bytes(frames=FRAMES, audio=True)
    assert await all_frames(clip, policy=UNTRUSTED) == list(range(FRAMES))
    async with af.open_video(clip, policy=UNTRUSTED) as video:
        [sound] = video.info.other_streams
        assert (sound.kind, sound.sample_rate) == ("audio", 48_000)


class Silent(af.sources.MemorySource):
    """A source of which no byte arrives."""

    async def read_range(self, start: int, stop: int) -> bytes:
        await asyncio.sleep(3600)
        return b""

    def local_file(self) -> None:
        return None


async def test_a_deadline_covers_opening() -> None:
    """The error does not wait for bytes."""
    with pytest.raises(DeadlineError, match=r"opening .* did not finish") as caught:
        await all_frames(Silent(CLIP), policy=af.Policy(deadline_seconds=0.2))
    assert isinstance(caught.value, (ValueError, TimeoutError))
    assert (caught.value.limit, caught.value.allowed) == ("deadline_seconds", 0.2)
    with pytest.raises(DeadlineError):
        af.sync.open_video(Silent(CLIP), policy=af.Policy(deadline_seconds=0.2))


@contextmanager
def busy(method: str) -> Iterator[threading.Event]:
    """Have calls of a decoder compute, as FFmpeg may, until the event is set."""
    done = threading.Event()
    usual = getattr(Decoder, method)

    def late(self: Decoder, *arguments: Any, **options: Any) -> Any:
        done.wait(30)
        return usual(self, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Decoder, method, late)
        try:
            yield done
        finally:
            done.set()


@pytest.mark.usefixtures("long_streams")
async def test_a_deadline_does_not_wait_for_a_thread_that_opens() -> None:
    """The thread ends later, and closes what it opened."""
    policy = af.Policy(deadline_seconds=0.2)
    with busy("__init__") as done:
        with pytest.raises(DeadlineError):
            await af.open_video(CLIP, policy=policy)
        with pytest.raises(DeadlineError):
            af.sync.open_video(CLIP, policy=policy)
        assert not done.is_set()
    for _ in range(1000):
        late = [task for task in asyncio.all_tasks() if "late" in task.get_name()]
        if not late:
            break
        await asyncio.sleep(0.01)
    assert not late


@pytest.mark.usefixtures("long_streams")
@pytest.mark.parametrize("run", [frames_of(), saved, written, extracted, blocking, blocking_files], ids=named)
async def test_a_deadline_does_not_wait_for_a_thread_that_decodes(
    run: Callable[[af.Policy], Awaitable[Any]],
) -> None:
    """A call that opens a video and closes it ends in time as well."""
    with busy("decode") as done:
        with pytest.raises(DeadlineError):
            await run(af.Policy(deadline_seconds=0.5))
        assert not done.is_set()


async def test_a_deadline_covers_the_frame_table() -> None:
    """Which may need as long as decoding does."""
    async with af.open_video(CLIP, policy=af.Policy(deadline_seconds=3)) as video:
        with busy("decode") as done:
            with pytest.raises(DeadlineError, match="the look-up of the frame table"):
                await video.frame_table()
            assert not done.is_set()
        assert await video.count() == FRAMES


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.usefixtures("long_streams")
async def test_cpu_time_ends_a_request_between_steps(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request gets no further step, its frames so far are right, and the next request has its own time."""
    clip = clip_bytes(frames=200, gop=200)
    spend = CpuBudget.spend
    async with af.open_video(clip, policy=af.Policy(cpu_seconds=100), threads=threads) as video:
        monkeypatch.setattr(CpuBudget, "spend", lambda self, seconds: spend(self, 60 + seconds))
        seen = list[int]()
        with pytest.raises(PolicyLimitError, match="cpu_seconds=100") as caught:
            async for frame in video.frames(queue_maxsize=2):
                seen += [painted_index(frame.image)]
        assert seen == list(range(len(seen)))
        assert 0 < len(seen) < 200
        assert caught.value.limit == "cpu_seconds"
        monkeypatch.setattr(CpuBudget, "spend", spend)
        assert painted_index((await video.frame(7)).image) == 7


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the time of codec threads")
@pytest.mark.usefixtures("long_streams")
async def test_the_threads_of_a_codec_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a codec with threads decodes is charged, not only what feeds it."""
    charged: list[float] = []

    def spend(_: CpuBudget, seconds: float) -> None:
        charged.append(seconds)

    own: list[float] = []
    run = Meter.run

    def measured(self: Meter, function: Callable[[], Any]) -> Any:
        own.append(self._codec_seconds())
        return run(self, function)

    monkeypatch.setattr(CpuBudget, "spend", spend)
    monkeypatch.setattr(Meter, "run", measured)
    clip = clip_bytes(frames=240, width=640, height=384, gop=60)
    async with af.open_video(clip, policy=af.Policy(cpu_seconds=600), threads=3) as video:
        async for _ in video.frames(queue_maxsize=4):
            pass
    assert max(own) > 0.01
    assert sum(charged) > max(own)


async def test_without_a_policy_options_replace_the_limits() -> None:
    """As they always did."""
    assert await all_frames(CLIP, max_pixels=2**40, max_table_frames=2**30, max_read_bytes=2**50)
    with pytest.raises(MediaLimitError, match="max_pixels=10"):
        await all_frames(CLIP, max_pixels=10)


@pytest.mark.parametrize(("given", "limit"), [(10, 10), (2**40, 1000)])
async def test_beside_a_policy_the_lower_limit_counts(given: int, limit: int) -> None:
    """An option can make a policy stricter, and never looser."""
    with pytest.raises(MediaLimitError) as caught:
        await all_frames(CLIP, policy=af.Policy(max_pixels=1000), max_pixels=given)
    assert caught.value.allowed == limit
    with pytest.raises(MediaLimitError) as caught:
        async with af.open_video(
            CLIP, policy=af.Policy(max_frames=min(limit, 11)), max_table_frames=min(given, 20)
        ) as video:
            await video.count()
    assert caught.value.allowed == min(given, limit, 11)


async def test_beside_a_policy_an_option_adds_no_container() -> None:
    """The contradiction is an error at once; what the policy names is allowed by both."""
    with pytest.raises(PolicyLimitError, match="swf is not among the containers") as caught:
        af.open_video(CLIP, policy=UNTRUSTED, allow_containers=["swf"])
    assert (caught.value.limit, caught.value.found) == ("containers", "swf")
    policy = replace(UNTRUSTED, containers={"swf", "mp4"})
    # A demuxer has several names.
    assert await all_frames(CLIP, policy=policy, allow_containers=["swf", "mov"]) == list(range(FRAMES))


async def test_a_policy_travels_with_what_open_video_returns() -> None:
    """To another process, where it counts as here."""
    opener = pickle.loads(pickle.dumps(af.open_video(CLIP, policy=af.Policy(max_output_frames=3))))
    async with opener as video:
        assert len(await video.batch(0, 2)) == 3
        with pytest.raises(PolicyLimitError, match="max_output_frames=3"):
            await video.batch(0, 3)


async def test_what_is_known_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that asks for too much costs no decoding, and no array."""
    async with af.open_video(CLIP, policy=af.Policy(max_output_bytes=5 * IMAGE)) as video:
        await video.count()
        monkeypatch.setattr(Decoder, "decode", _never)
        for selection in ({}, {"indices": [0] * 6}, {"start": 6}):
            with pytest.raises(PolicyLimitError, match=r"asks for .* bytes of images"):
                await video.batch(**selection)
        with pytest.raises(PolicyLimitError, match="asks for"):
            await video.contact_sheet()


def _never(*_: Any, **__: Any) -> Any:
    raise AssertionError("something was decoded")


async def test_frames_are_counted_where_nothing_is_known() -> None:
    """An upload is decoded up to the limit, and the frames before it are delivered."""
    seen = []
    with pytest.raises(PolicyLimitError, match="would deliver 6 frames") as caught:
        async for index, _ in af.stream_frames(chunks(WEBM), policy=af.Policy(max_output_frames=5)):
            seen.append(index)
    assert seen == list(range(5))
    assert caught.value.found == 6


async def test_the_newest_frames_are_counted_too() -> None:
    """`latest` is one request."""
    async with af.open_video(CLIP, policy=af.Policy(max_output_frames=FRAMES)) as video:
        with suppress(StopAsyncIteration):
            assert [frame.index async for frame in video.latest()][-1] == FRAMES - 1


async def test_an_upload_that_is_too_long_is_stopped() -> None:
    """At the limit, not at its end; whether it is stored or not."""
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield CLIP[:2000]
        while True:
            sent += 1000
            yield bytes(1000)

    for keep in (False, True):
        sent = 0
        source = af.ForwardSource(endless(), keep=keep)
        with pytest.raises(SourceLimitError, match="max_source_bytes=50000") as caught:
            await all_frames(source, policy=af.Policy(max_source_bytes=50_000))
        assert caught.value.limit == "max_source_bytes"
        assert sent < 60_000


async def test_a_data_url_is_decoded_no_further_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bomb of many megabytes costs a chunk more than the limit."""
    pieces = list[int]()
    strict = _data_url._strict

    def counted(text: bytes) -> bytes:
        pieces.append(len(text))
        return strict(text)

    monkeypatch.setattr(_data_url, "_strict", counted)
    bomb = "data:video/mp4;base64," + "A" * 2**25
    with pytest.raises(SourceLimitError) as caught:
        await all_frames(bomb, policy=replace(UNTRUSTED, max_source_bytes=10_000))
    assert caught.value.limit == "max_source_bytes"
    assert sum(pieces) < 2**21


@pytest.mark.parametrize("policy", [None, TRUSTED], ids=["none", "trusted"])
async def test_trusted_is_what_is_used_if_nothing_is_said(policy: af.Policy | None, path: Path) -> None:
    """The same sources, containers and codecs, and the same limits."""
    clip = clip_bytes(frames=4, codec="mpeg4", container="avi", b_frames=0)
    for source in (str(path), path, path.as_uri(), clip, f"local://{path}"):
        assert await all_frames(source, policy=policy)
