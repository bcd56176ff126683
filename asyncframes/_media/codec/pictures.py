"""The output of a decoder: pictures and damage."""

from __future__ import annotations

from dataclasses import dataclass

from av.video.frame import VideoFrame

from asyncframes.errors import CorruptMediaError, MediaError


@dataclass(slots=True, eq=False)
class Picture:
    """A decoded picture and the packet that it comes from. Frozen, it would be slower to create."""

    packet: int
    pts: int | None
    frame: VideoFrame
    duration: int = 0
    """That of its packet in ticks, 0 where unknown."""
    alpha: VideoFrame | None = None
    """The opacity, if it was requested and the container stores it separately."""
    alpha_damage: str | None = None
    """Why the opacity did not decode."""

    @property
    def is_damaged(self) -> bool:
        """Whether the decoder marked the picture as damaged, or its opacity is lost."""
        return self.frame.is_corrupt or self.alpha_damage is not None

    @property
    def decodes_alone(self) -> bool:
        """Whether the picture and its opacity refer to no other picture."""
        whole = self.alpha is None or self.alpha.key_frame
        return self.frame.key_frame and whole and self.alpha_damage is None


@dataclass(frozen=True, slots=True)
class Damage:
    """Damage to a packet: the decoder refused it, or marked its picture as damaged."""

    packet: int
    pts: int | None
    reason: str
    has_picture: bool = False


def refuse_without_pictures(source: str, *, packets: int, frames: int) -> None:
    """Refuse a stream that was read to its end without a picture.

    Raises
    ------
    CorruptMediaError
        The stream has packets, but none becomes a picture.
    MediaError
        The stream has a header but no packets.
    """
    if frames:
        return
    if packets:
        message = f"the stream has {packets} packets, but none of them decodes to a picture"
        raise CorruptMediaError(message, source=source)
    raise MediaError("the container has a header but no video packets", source=source)
