"""What two processes tell each other: whole in any pieces, and believed only if it can be true."""

from __future__ import annotations

import inspect
import itertools
import json
import os
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from functools import cache
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import asyncframes as af
from asyncframes import errors
from asyncframes._frames.frame import Frame
from asyncframes._isolation.calls import crashed
from asyncframes._isolation.stored_table import table_from
from asyncframes._isolation.wire.error_values import error_as_facts, error_from_facts
from asyncframes._isolation.wire.frame_records import record_of, records_from
from asyncframes._isolation.wire.info_values import info_as_facts, info_from_facts
from asyncframes._isolation.wire.messages import Kind, MalformedError, Message, Messages, packed
from asyncframes._isolation.wire.plain_values import indices_from
from asyncframes._isolation.wire.shared_memory import Memory, Space, descriptor_of
from asyncframes._model.rendering import Rendering
from asyncframes._model.table import FrameTable
from asyncframes._types import ImageFormat, VideoInfo
from tests.support.streams.clips import clip_bytes

MOST = 1000
PAGE = 4096

Facts = dict[str, Any]

# Messages.

messages = st.lists(
    st.tuples(
        st.sampled_from(list(Kind)),
        st.integers(0, 2**32 - 1),
        st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3),
        st.binary(max_size=50),
    ),
    max_size=8,
)


def fed(reader: Messages, data: bytes, cuts: list[int]) -> list[Message]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [message for begin, end in itertools.pairwise(places) for message in reader.feed(data[begin:end])]


@given(messages, st.lists(st.integers(0, 10_000), max_size=20))
def test_messages_arrive_in_any_pieces(sent: list[tuple[Kind, int, Facts, bytes]], cuts: list[int]) -> None:
    reader = Messages(MOST)
    found = fed(reader, b"".join(packed(*one) for one in sent), cuts)
    assert [(one.kind, one.number, one.facts(), one.body) for one in found] == sent
    assert reader.is_between_two


@given(st.binary(max_size=200) | messages.map(lambda sent: b"".join(packed(*one) for one in sent)), st.data())
def test_garbage_is_malformed_or_a_message(data: bytes, draw: st.DataObject) -> None:
    changed = bytearray(data)
    for _ in range(draw.draw(st.integers(0, 4)) if data else 0):
        changed[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    with suppress(MalformedError):
        for message in Messages(MOST).feed(bytes(changed)):
            message.facts()


@pytest.mark.parametrize(
    "head", [b"[" * 10**6, b'{"a":' * 10**5, b"9" * 10**5, b"[]", b"1", b"\xff", b"{", b'"\\ud800"', b"NaN"]
)
def test_a_head_that_is_no_object(head: bytes) -> None:
    with pytest.raises(MalformedError):
        Message(Kind.RESULT, 1, head, b"").facts()


@pytest.mark.parametrize(("head", "body"), [(2**32 - 1, 0), (0, MOST + 1)])
def test_a_message_that_is_too_long_is_refused_before_it_arrives(head: int, body: int) -> None:
    with pytest.raises(MalformedError, match="too long"):
        list(Messages(MOST).feed(struct.pack("<BxxxIII", Kind.RESULT, 1, head, body)))


# Values. JSON can hold any of these in place of any other.

odd = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([-1, 0, 2**31, 2**63, 2**64, 10**400, -(10**400)]),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["1/0", "0/1", "-1/2", "/", "9" * 5000, "\ud800", "\x1b[2J", "2024-13-01", "a" * 5000]),
    st.lists(st.integers(), max_size=3),
    st.just([[[[]]]] * 50),
    st.recursive(st.none(), lambda inner: st.lists(inner, max_size=2), max_leaves=5),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.just({str(at): "" for at in range(100)}),
)


def mutated(facts: Any, draw: st.DataObject) -> Any:
    """Replace one value anywhere inside."""
    if isinstance(facts, dict) and facts and draw.draw(st.booleans()):
        name = draw.draw(st.sampled_from(sorted(facts)))
        what = draw.draw(st.integers(0, 9))
        rest = {key: value for key, value in facts.items() if key != name}
        if what == 0:
            return rest
        if what == 1:
            return {**facts, "another": 1}
        return {**facts, name: mutated(facts[name], draw)}
    if isinstance(facts, list) and facts and draw.draw(st.booleans()):
        at = draw.draw(st.integers(0, len(facts) - 1))
        return [*facts[:at], mutated(facts[at], draw), *facts[at + 1 :]]
    return draw.draw(odd)


def through_json(facts: Any) -> Any:
    return json.loads(json.dumps(facts))


@cache
def info() -> VideoInfo:
    with af.sync.open_video(clip_bytes(frames=2)) as video:
        return video.info


@cache
def table() -> FrameTable:
    with af.sync.open_video(clip_bytes(frames=5)) as video:
        return video.frame_table()


def read_info(facts: Any) -> VideoInfo:
    return info_from_facts(facts, info().size_bytes, max_pixels=2**26)


def test_the_facts_of_a_video_arrive() -> None:
    assert read_info(through_json(info_as_facts(info()))) == info()


@given(st.data())
def test_false_facts_of_a_video(data: st.DataObject) -> None:
    facts = mutated(through_json(info_as_facts(info())), data)
    with suppress(MalformedError):
        found = read_info(facts)
        assert found.width * found.height <= 2**26
        assert found.time_base > 0
        json.dumps(found.as_dict(), allow_nan=False)
        assert hash(found) == hash(replace(found))


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_arrives(name: str) -> None:
    kind = getattr(errors, name)
    parameters = inspect.signature(kind.__init__).parameters.values()
    context = {one.name: 7 for one in parameters if one.kind is one.KEYWORD_ONLY}
    original = kind("what was asked", **context)
    copy = error_from_facts(through_json(error_as_facts(original)))
    assert type(copy) is kind
    assert str(copy) == str(original)
    assert {one: getattr(copy, one) for one in context} == context


class OwnError(errors.SourceTimeoutError):
    """An error of a user's own source."""


def test_an_error_of_ones_own_arrives_as_its_base() -> None:
    copy = error_from_facts(through_json(error_as_facts(OwnError("late", source="x" * 10_000))))
    assert type(copy) is errors.SourceTimeoutError
    assert len(str(copy.source)) <= 4000


@pytest.mark.parametrize(
    "name", ["SystemExit", "KeyboardInterrupt", "eval", "ZeroDivisionError", "CancelledError"]
)
def test_an_error_that_is_none_of_ours(name: str) -> None:
    assert error_from_facts({"type": name, "text": "", "facts": {}}) is None


@given(st.sampled_from(errors.__all__), st.data())
def test_false_errors(name: str, data: st.DataObject) -> None:
    kind = getattr(errors, name)
    parameters = inspect.signature(kind.__init__).parameters.values()
    original = kind("asked", **{one.name: [1, "a"] for one in parameters if one.kind is one.KEYWORD_ONLY})
    facts = mutated(through_json(error_as_facts(original)), data)
    with suppress(MalformedError):
        found = error_from_facts(facts if isinstance(facts, dict) else {})
        assert str(found).isprintable()
        repr(found)


@given(st.integers(-80, 300))
def test_the_end_of_a_process(code: int) -> None:
    error = crashed(code, "clip.mp4")
    assert (error.exit_code is None) == (code < 0) == (error.signal is not None)
    assert (error.limit == "cpu") == (error.signal == "SIGXCPU")


# Frames.

renderings = st.sampled_from([Rendering(image_format=kind) for kind in get_args(ImageFormat)])
times = st.integers(-(2**63) + 1, 2**63 - 1)


@st.composite
def frames(draw: st.DrawFn, rendering: Rendering) -> Frame:
    size = draw(st.integers(1, 6)), draw(st.integers(1, 4)) * 2
    return Frame(
        image=np.zeros(rendering.shape_of(size), rendering.dtype),
        index=draw(st.integers(0, 2**62)),
        pts=draw(st.none() | times),
        time_base=Fraction(draw(st.integers(1, 2**31)), draw(st.integers(1, 2**31))),
        is_keyframe=draw(st.booleans()),
        is_corrupt=draw(st.booleans()),
        duration_seconds=draw(st.none() | st.floats(0, 1e9)),
        image_format=rendering.image_format,
    )


@given(renderings, st.data())
def test_frames_arrive(rendering: Rendering, data: st.DataObject) -> None:
    sent = data.draw(st.lists(frames(rendering), min_size=1, max_size=5))
    offsets = [data.draw(st.integers(0, 2**40)) for _ in sent]
    body = b"".join(record_of(frame, offset) for frame, offset in zip(sent, offsets, strict=True))
    found = list(records_from(body, rendering))
    assert [record.offset for record in found] == offsets
    for frame, record in zip(sent, found, strict=True):
        assert record.shape == frame.image.shape
        assert record.facts == {name: getattr(frame, name) for name in record.facts}


@given(renderings, renderings, st.data())
def test_false_frames(told: Rendering, asked: Rendering, data: st.DataObject) -> None:
    sent = data.draw(st.lists(frames(told), min_size=0, max_size=3))
    body = bytearray(b"".join(record_of(frame, 0) for frame in sent))
    for _ in range(data.draw(st.integers(0, 6)) if body else 0):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    body += data.draw(st.binary(max_size=100))
    with suppress(MalformedError):
        for record in records_from(bytes(body), asked):
            assert record.facts["index"] >= 0
            assert all(record.shape)
            assert record.facts["time_base"] > 0


@given(st.binary(max_size=64), st.integers(0, 2**40))
def test_false_indices(data: bytes, length: int) -> None:
    with suppress(MalformedError):
        found = indices_from(data, length)
        assert all(0 <= index < length for index in found.tolist())


# Frame tables.


def test_a_table_arrives() -> None:
    assert table_from(table().to_bytes(), 2**20).to_bytes() == table().to_bytes()


@given(st.data())
def test_false_tables(data: st.DataObject) -> None:
    told = bytearray(table().to_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        told[data.draw(st.integers(0, len(told) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.none() | st.integers(0, len(told)))
    with suppress(MalformedError):
        table_from(bytes(told[:cut]), 2**20)


# The shared memory.

SIZE = 2 * 8 * PAGE


class SharedMemory(RuleBasedStateMachine):
    """One side puts images, the other one takes and drops them, in any order."""

    @initialize()
    def start(self) -> None:
        descriptor = descriptor_of(SIZE)
        try:
            self.space, self.memory = Space(descriptor, SIZE), Memory(descriptor, SIZE)
        finally:
            os.close(descriptor)
        self.sent: list[tuple[int, int, int]] = []
        self.taken: list[tuple[Any, int]] = []
        self.value = 0

    @rule(pages=st.integers(1, 8), is_kept=st.booleans())
    def put(self, pages: int, is_kept: bool) -> None:
        self.value = self.value % 250 + 1
        image = np.full(pages * PAGE - 7, self.value, np.uint8)
        if (placed := self.space.put(image, is_kept=is_kept)) is None:
            # Only if it does not fit in one piece.
            assert self.sent or self.taken
            return
        self.sent.append((placed[1], image.nbytes, self.value))
        assert is_kept or not self.memory.lends(placed[1])

    @rule(at=st.integers(0, 20))
    def take(self, at: int) -> None:
        if self.sent:
            offset, length, value = self.sent.pop(at % len(self.sent))
            image = self.memory.take(offset, (length,), np.dtype(np.uint8))
            if not self.memory.lends(offset):
                image = image.copy()
            self.taken.append((image, value))
            self.free()

    @rule(at=st.integers(0, 20))
    def drop(self, at: int) -> None:
        if self.taken:
            del self.taken[at % len(self.taken)]
            self.free()

    def free(self) -> None:
        for offset in self.memory.freed():
            self.space.free([offset])

    @rule()
    def use_all_again(self) -> None:
        """What is freed is free: one image as large as half of the memory fits."""
        while self.sent:
            self.take(0)
        self.taken.clear()
        self.free()
        for is_kept in (True, False):
            placed = self.space.put(np.zeros(SIZE // 2, np.uint8), is_kept=is_kept)
            assert placed is not None
            self.space.free([placed[1]])

    @rule()
    def hold_all(self) -> None:
        """A caller that keeps every image leaves the lower half to the decoder."""
        while self.sent:
            self.take(0)
        for _ in range(20):
            self.put(2, is_kept=True)
            while self.sent:
                self.take(0)
        placed = self.space.put(np.zeros(SIZE // 2, np.uint8), is_kept=True)
        assert placed is not None
        self.space.free([placed[1]])

    @invariant()
    def images_keep_their_values(self) -> None:
        for image, value in getattr(self, "taken", []):
            assert (image == value).all()

    def teardown(self) -> None:
        if hasattr(self, "space"):
            self.taken.clear()


TestSharedMemory = SharedMemory.TestCase
TestSharedMemory.settings = settings(deadline=None, stateful_step_count=30)


@pytest.fixture
def memory() -> Iterator[Memory]:
    descriptor = descriptor_of(SIZE)
    try:
        yield Memory(descriptor, SIZE)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize(
    ("offset", "length"),
    [
        (SIZE, 1),
        (2**63, 1),
        (SIZE - PAGE, PAGE + 1),
        (SIZE // 2 - PAGE, PAGE + 1),
        (1, 1),
        (PAGE - 1, 1),
        (0, 2**70),
    ],
)
def test_a_place_outside_the_memory(memory: Memory, offset: int, length: int) -> None:
    with pytest.raises(MalformedError, match="outside"):
        memory.take(offset, (length,), np.dtype(np.uint8))


@pytest.mark.parametrize(
    ("first", "second"), [((0, 2), (0, 1)), ((0, 2), (1, 1)), ((1, 1), (0, 2)), ((1, 1), (0, 3))]
)
def test_a_place_in_use(memory: Memory, first: tuple[int, int], second: tuple[int, int]) -> None:
    (begin, pages), (other, more) = first, second
    kept = memory.take(begin * PAGE, (pages * PAGE,), np.dtype(np.uint8))
    with pytest.raises(MalformedError, match="another one"):
        memory.take(other * PAGE, (more * PAGE,), np.dtype(np.uint8))
    del kept
    assert memory.freed() == [begin * PAGE]
    memory.take(other * PAGE, (more * PAGE,), np.dtype(np.uint8))


def test_images_are_dropped_in_any_thread(memory: Memory) -> None:
    """A finaliser only appends: it may run while the lists are changed."""
    kept = [memory.take(at * PAGE, (PAGE,), np.dtype(np.uint8)) for at in range(16)]
    places = list(memory._starts)
    threads = [threading.Thread(target=kept.pop) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert memory._starts == places
    assert sorted(memory.freed()) == places


def test_an_image_that_never_fits() -> None:
    descriptor = descriptor_of(SIZE)
    space = Space(descriptor, SIZE)
    os.close(descriptor)
    with pytest.raises(MemoryError):
        space.put(np.zeros(SIZE // 2 + 1, np.uint8), is_kept=True)


def test_arrays_outlive_the_memory_of_their_video(memory: Memory) -> None:
    image = memory.take(0, (PAGE,), np.dtype(np.uint8))
    image[:] = 7
    memory.rest()
    assert (image == 7).all()
