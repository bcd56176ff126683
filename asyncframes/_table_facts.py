"""What a frame table knows besides its packets: whose bytes it speaks of, and what decoding showed."""

from __future__ import annotations

from dataclasses import dataclass

from asyncframes._packets import BoolArray, Int64Array


@dataclass(frozen=True, slots=True)
class SourceIdentity:
    """Which bytes a frame table speaks of.

    Attributes
    ----------
    size
        Length of the source in bytes, ``None`` where it is not known.
    validator
        `StreamSource.validator`, ``None`` where the source has none.
    stream_index
        Which stream of the container.
    """

    size: int | None
    validator: str | None
    stream_index: int

    def may_be(self, other: SourceIdentity) -> bool:
        """Whether nothing that both know says otherwise."""
        pairs = ((self.size, other.size), (self.validator, other.validator))
        return self.stream_index == other.stream_index and all(
            mine == theirs or mine is None or theirs is None for mine, theirs in pairs
        )


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """What a decode of the whole stream showed of its frames.

    Attributes
    ----------
    checksum
        Of the decoded picture, a row a frame.
    is_damaged
        Whether the decoder marked the picture, a row a frame.
    """

    checksum: Int64Array
    is_damaged: BoolArray
