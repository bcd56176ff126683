"""What comes out of a decoder."""

from __future__ import annotations

from dataclasses import dataclass

from av.video.frame import VideoFrame

from asyncframes.errors import CorruptMediaError, MediaError


@dataclass(slots=True, eq=False)
class Picture:
    """A decoded picture and the packet it comes from; not frozen, for that would be slower to make."""

    packet: int
    pts: int | None
    frame: VideoFrame
    alpha: VideoFrame | None = None
    """Its opacity, where the container keeps that apart and it was asked for."""
    alpha_damage: str | None = None
    """Why its opacity did not decode."""

    @property
    def is_damaged(self) -> bool:
        """Whether the decoder marked it, or its opacity is lost."""
        return self.frame.is_corrupt or self.alpha_damage is not None

    @property
    def decodes_alone(self) -> bool:
        """Whether it and its opacity refer to no other picture."""
        whole = self.alpha is None or self.alpha.key_frame
        return self.frame.key_frame and whole and self.alpha_damage is None


@dataclass(frozen=True, slots=True)
class Damage:
    """What is wrong with a packet: the decoder refused it, or marked the picture that it became."""

    packet: int
    pts: int | None
    reason: str
    has_picture: bool = False


def refuse_without_pictures(source: str, *, packets: int, frames: int) -> None:
    """Refuse a stream, read to its end, of which nothing decodes.

    Raises
    ------
    CorruptMediaError
        It has packets, and none becomes a picture.
    MediaError
        It has no packets: only a header is there.
    """
    if frames:
        return
    if packets:
        message = f"the stream has {packets} packets, and none of them decodes to a picture"
        raise CorruptMediaError(message, source=source)
    raise MediaError("the container has a header and no packet of video", source=source)
