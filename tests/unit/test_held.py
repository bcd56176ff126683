"""When pictures of a codec with several threads are beyond doubt."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from asyncframes._media.codec.held import DoubtError, HeldPictures
from asyncframes._media.codec.pictures import Damage, Picture


@dataclass
class FakePacket:
    """What is asked of a packet."""

    pts: int
    is_keyframe: bool
    is_discard: bool
    is_corrupt: bool = False
    dts: int | None = None

    size: int = 4

    def __bytes__(self) -> bytes:
        return b"data"


def packet(pts: int, *, is_keyframe: bool = False, is_discard: bool = False) -> Any:
    return FakePacket(pts, is_keyframe, is_discard)


def picture(number: int, *, is_corrupt: bool = False) -> Picture:
    frame: Any = SimpleNamespace(is_corrupt=is_corrupt, key_frame=number == 0, interlaced_frame=False)
    return Picture(number, None, frame)


def held(*pts: int) -> HeldPictures:
    """Expect packets with these times, the first of which is a keyframe."""
    pictures = HeldPictures(run_ahead=True, most=20)
    for number, ticks in enumerate(pts):
        pictures.expect(packet(ticks, is_keyframe=number == 0), number)
    return pictures


def numbers(pictures: HeldPictures, *outputs: Picture | Damage) -> list[int]:
    return [output.packet for output in pictures.sure(outputs)]


def test_a_picture_waits_for_those_it_may_refer_to() -> None:
    """B comes out before the P that it refers to, and is let go with it."""
    pictures = held(0, 2, 1)
    assert numbers(pictures, picture(0)) == [0]
    assert numbers(pictures, picture(2)) == []
    assert numbers(pictures, picture(1)) == [2, 1]
    assert list(pictures.finish()) == []


def test_damage_in_a_reference_holds_back_what_refers_to_it() -> None:
    """Damage that shows late is a doubt before the picture that it spoils is let go."""
    pictures = held(0, 2, 1)
    assert numbers(pictures, picture(0), picture(2)) == [0]
    with pytest.raises(DoubtError, match="packet 1"):
        numbers(pictures, picture(1, is_corrupt=True))


def test_a_refused_packet_is_a_doubt() -> None:
    """So is an error of the codec."""
    with pytest.raises(DoubtError, match="broken"):
        numbers(held(0, 1), Damage(1, 1, "broken"))


def test_a_packet_that_becomes_nothing_is_a_doubt_at_the_latest_when_drained() -> None:
    """PyAV drops errors that come while it drains."""
    pictures = held(0, 1, 2)
    assert numbers(pictures, picture(0), picture(2)) == [0]
    with pytest.raises(DoubtError, match="packet 1 "):
        list(pictures.finish())


def test_a_packet_that_becomes_nothing_is_a_doubt_after_a_while() -> None:
    """Memory is bounded: no codec outputs a picture later than so many packets."""
    pictures = held(0, 1)
    with pytest.raises(DoubtError, match="packet 0 "):
        for number in range(2, 60):
            pictures.expect(packet(number), number)


def test_leading_pictures_are_not_waited_for() -> None:
    """After a seek, what is shown before the keyframe may never come out."""
    pictures = held(10, 8, 9, 12)
    assert numbers(pictures, picture(0), picture(3)) == [0, 3]
    assert list(pictures.finish()) == []


def test_what_is_not_shown_counts_by_its_damage_alone() -> None:
    """A packet that an edit list leaves out yields nothing, and its damage is a doubt."""
    pictures = HeldPictures(run_ahead=True, most=20)
    pictures.expect(packet(0, is_keyframe=True, is_discard=True), 0)
    pictures.expect(packet(1), 1)
    assert numbers(pictures, picture(0), picture(1)) == [1]
    pictures.expect(packet(2, is_discard=True), 2)
    with pytest.raises(DoubtError):
        numbers(pictures, picture(2, is_corrupt=True))


def test_nothing_is_held_where_damage_shows_at_once() -> None:
    """Slice threads and strict codecs report damage with the picture itself."""
    pictures = HeldPictures(run_ahead=False, most=20)
    assert numbers(pictures, picture(4), picture(2)) == [4, 2]
    with pytest.raises(DoubtError):
        numbers(pictures, picture(5, is_corrupt=True))


def test_a_packet_that_the_container_marks_is_a_doubt() -> None:
    """MPEG-TS marks packets with holes; what a decoder makes of them depends on its threads."""
    marked = packet(0)
    marked.is_corrupt = True
    with pytest.raises(DoubtError, match="packet 0 "):
        HeldPictures(run_ahead=False, most=20).expect(marked, 0)


def test_one_thread_waits_for_a_picture_whose_damage_is_only_marked() -> None:
    """B refers to the P that is decoded before it, and whose mark comes out after it."""
    pictures = HeldPictures(run_ahead=False, marks_late=True, most=20)
    for number, pts in enumerate((0, 2, 1)):
        pictures.expect(packet(pts, is_keyframe=number == 0), number)
    assert numbers(pictures, picture(0), picture(2)) == [0]
    with pytest.raises(DoubtError):
        numbers(pictures, picture(1, is_corrupt=True))
