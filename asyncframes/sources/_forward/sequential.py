"""Sources that can be read forward once."""

from __future__ import annotations

from abc import abstractmethod

from asyncframes.abc import StreamSource


class SequentialSource(StreamSource):
    """A source whose bytes come once: what was read is gone, unless it is told to keep them first."""

    @property
    @abstractmethod
    def keeps(self) -> bool:
        """Whether every byte stays readable."""

    @property
    def can_keep(self) -> bool:
        """Whether `keep` is of any use."""
        return False

    @abstractmethod
    def keep(self, why: str) -> None:
        """Keep everything from now on.

        Raises
        ------
        SourceError
            It cannot, or some of it was let go.
        """

    async def let_go(self, position: int) -> None:
        """Forget the bytes before a position, unless they are kept."""


def sequential(source: StreamSource) -> SequentialSource | None:
    """Return a source whose bytes come once and are not kept."""
    return source if isinstance(source, SequentialSource) and not source.keeps else None
