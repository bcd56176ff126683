"""Tags, the creation time, and the streams that are not video."""

from __future__ import annotations

import copy
import json
import pickle
from datetime import UTC, datetime, timedelta, timezone

import pytest

import asyncframes as af
from asyncframes._media.metadata import creation_time_of, tags_of
from tests.support.exact.corpus import CORPUS
from tests.support.marks import BOTH_ISOLATIONS
from tests.support.streams.clips import clip_bytes
from tests.support.streams.tagged import tagged

pytestmark = BOTH_ISOLATIONS

SECRET = "hush-hush"  # noqa: S105 - of nobody
MADE = "2021-03-04T05:06:07.250000Z"


async def info_of(data: bytes) -> af.VideoInfo:
    async with af.open_video(data) as video:
        return video.info


@pytest.mark.anyio
@pytest.mark.parametrize("container", ["mp4", "matroska"])
async def test_info_shows_tags_and_the_creation_time(container: str) -> None:
    """Tags are a read-only mapping, and the time has a zone."""
    info = await info_of(tagged(container, title="A \N{SNOWMAN}", creation_time=MADE))
    assert info.tags["title"] == "A \N{SNOWMAN}"
    # MP4 counts whole seconds.
    assert info.creation_time is not None
    assert info.creation_time.replace(microsecond=0) == datetime(2021, 3, 4, 5, 6, 7, tzinfo=UTC)
    with pytest.raises(TypeError):
        info.tags["title"] = "B"  # type: ignore[index]


@pytest.mark.anyio
async def test_a_container_may_say_nothing() -> None:
    """Then there are no tags, no time and no other streams."""
    info = await info_of(clip_bytes(container="mpegts"))
    assert (dict(info.tags), info.creation_time, info.other_streams) == ({}, None, ())


@pytest.mark.anyio
async def test_other_streams_are_listed() -> None:
    """Each with its index, kind, codec, language and duration."""
    info = await info_of(tagged("mp4"))
    (sound,) = info.other_streams
    assert (sound.index, sound.kind, sound.codec, sound.language) == (1, "audio", "aac", "fra")
    assert (sound.sample_rate, sound.channels, sound.is_default) == (48_000, 1, True)
    assert sound.duration_seconds_from_header == pytest.approx(0.24, abs=0.05)
    assert (await info_of(tagged("matroska"))).other_streams[0].title == "Commentary"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("name", "kinds"),
    [("issue365-test.mkv", {"audio", "subtitle"}), ("file_with_data_streams.mp4", {"audio", "data"})],
)
async def test_streams_of_real_files_are_listed(name: str, kinds: set[str]) -> None:
    """Subtitles and data are told apart, with a codec or without."""
    if not (CORPUS / name).exists():
        pytest.skip("the corpus of real files (../shared/corpus) is not beside this checkout")
    async with af.open_video(CORPUS / name) as video:
        info = video.info
    assert {stream.kind for stream in info.other_streams} == kinds
    assert {stream.language for stream in info.other_streams} & {"eng", None}
    assert info.stream_index not in {stream.index for stream in info.other_streams}
    assert info.creation_time is not None


@pytest.mark.anyio
async def test_all_of_it_is_plain_in_a_dictionary() -> None:
    """`as_dict` survives JSON unchanged, and the facts are hashed, copied and pickled."""
    info = await info_of(tagged(title="A", creation_time=MADE))
    values = info.as_dict()
    assert json.loads(json.dumps(values)) == values
    assert values["tags"]["title"] == "A"
    assert values["creation_time"].startswith("2021-03-04T05:06:07")
    assert values["other_streams"][0]["kind"] == "audio"
    for twin in (copy.deepcopy(info), pickle.loads(pickle.dumps(info))):
        assert (twin, hash(twin)) == (info, hash(info))


def test_tags_are_bounded() -> None:
    """Neither their number nor their length follows the file."""
    many = tags_of({f"{number}-" * 500: "x" * 100_000 for number in range(1000)})
    assert len(many) == 64
    assert max(map(len, many)) <= 100
    assert max(map(len, many.values())) <= 1000
    assert len(repr(many)) < 64 * 200
    assert tags_of({"a": "b" * 1000})["a"] == "b" * 1000


@pytest.mark.parametrize("before", ["", "see ", "x" * 7_980 + " ", "x" * 900 + " ", ("http://a/?b " * 700)])
@pytest.mark.parametrize(
    "url",
    [
        f"https://{SECRET}:{SECRET}@host/a.mp4?token={SECRET}#{SECRET}",
        f"rtsp://me:{SECRET}{'x' * 9000}@host/",
        f"s3://bucket/a?X-Amz-Signature={SECRET}",
        f"simplecache::https://host/of/http://me:{SECRET}@host/?a=b",
        f"(https://host/?next=https://me:{SECRET}@host/)",
    ],
)
def test_tags_hold_no_secret_of_a_url(before: str, url: str) -> None:
    """Neither in a name nor in a text, wherever the text is cut."""
    assert SECRET not in repr(dict(tags_of({f"{before}{url}": f"{before}{url} after"})))
    assert tags_of({"a": "see https://host/page and b"})["a"] == "see https://host/page and b"


def test_tags_in_another_encoding_are_readable() -> None:
    """What is not UTF-8 is replaced, so that it can be printed and stored."""
    tags = tags_of({"title": b"na\xefve".decode("utf-8", "surrogateescape")})
    assert tags["title"].encode() == "na\N{REPLACEMENT CHARACTER}ve".encode()


@pytest.mark.parametrize(
    ("tags", "time"),
    [
        ({"creation_time": MADE}, datetime(2021, 3, 4, 5, 6, 7, 250_000, UTC)),
        ({"CREATION_TIME": "2021-03-04 05:06:07"}, datetime(2021, 3, 4, 5, 6, 7, tzinfo=UTC)),
        (
            {"com.apple.quicktime.creationdate": "2021-03-04T05:06:07+0200"},
            datetime(2021, 3, 4, 5, 6, 7, tzinfo=timezone(timedelta(hours=2))),
        ),
        ({"creation_time": "yesterday"}, None),
        ({"creation_time": "x" * 10**6}, None),
        ({"creation_time": "99999-01-01T00:00:00Z"}, None),
        ({"creation_time": ""}, None),
        ({"date": "2012"}, None),
    ],
)
def test_the_creation_time_is_read(tags: dict[str, str], time: datetime | None) -> None:
    """Text that is no time counts as none."""
    assert creation_time_of(tags) == time
