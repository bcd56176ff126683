"""Limits on bodies that arrive slowly or in many small parts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass

from asyncframes._policy.policy import Policy
from asyncframes.errors import RangeNotSupportedError, SourceError, SourceLimitError, SourceTimeoutError

POLICY_WINDOW_SECONDS = 20.0
"""Over which time a policy limits the rate."""

_FEW_BYTES = 4096
_MOST_SMALL_PARTS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """The lowest rate at which bytes may arrive.

    Attributes
    ----------
    min_bytes_per_second
        Lowest rate to accept over each window; 0 for any.
    window_seconds
        Length of a window, in seconds of waiting.
    is_final
        Whether a lower rate is an error that is not retried, because a policy sets it.
    """

    min_bytes_per_second: float = 0.0
    window_seconds: float = POLICY_WINDOW_SECONDS
    is_final: bool = False

    def limited_by(self, policy: Policy) -> Rate:
        """Return the rate that both this and a policy accept."""
        least = policy.min_bytes_per_second
        if not least:
            return self
        return Rate(
            min_bytes_per_second=max(least, self.min_bytes_per_second),
            window_seconds=min(POLICY_WINDOW_SECONDS, self.window_seconds),
            is_final=True,
        )


class Pace:
    """Measures the rate at which a body arrives.

    Only time spent waiting for the server counts, not what the receiver does with the
    bytes.

    Parameters
    ----------
    rate
        Lowest rate to accept.
    name
        Name of the source, for errors.
    """

    def __init__(self, rate: Rate, *, name: str) -> None:
        self._rate = rate
        self._name = name
        self._received = 0
        self._waited = 0.0

    async def next(self, part: Awaitable[bytes]) -> bytes:
        """Wait for a part of the body.

        Raises
        ------
        SourceTimeoutError
            The rate over a window is too low.
        SourceLimitError
            It is lower than a policy allows.
        """
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            # Silence is too slow as well.
            async with asyncio.timeout(self._left if self._rate.is_final else None) as window:
                data = await part
        except TimeoutError:
            if not window.expired():
                raise
            self._waited += clock() - began
            raise self._too_slow() from None
        self._waited += clock() - began
        self._received += len(data)
        if self._waited >= self._rate.window_seconds:
            self._check()
        return data

    @property
    def _left(self) -> float:
        return max(0.0, self._rate.window_seconds - self._waited)

    def _check(self) -> None:
        if self._received < self._rate.min_bytes_per_second * self._waited:
            raise self._too_slow()
        self._received, self._waited = 0, 0.0

    def _too_slow(self) -> SourceError:
        least = self._rate.min_bytes_per_second
        message = (
            f"{self._received} bytes arrived in {self._waited:.1f} s, fewer than "
            f"min_bytes_per_second={least:g}"
        )
        if not self._rate.is_final:
            return SourceTimeoutError(message, source=self._name)
        found = self._received / max(self._waited, 1e-9)
        return SourceLimitError(
            message, source=self._name, limit="min_bytes_per_second", allowed=least, found=found
        )


class Parts:
    """Counts the replies that one range takes.

    A server may answer a range with its first bytes only. If each answer had only a few,
    one block would take tens of thousands of requests.
    """

    def __init__(self, *, name: str) -> None:
        self._name = name
        self._small = 0

    def add(self, received: int) -> None:
        """Count a reply that is shorter than the range requested.

        Raises
        ------
        RangeNotSupportedError
            Too many replies had only a few bytes.
        """
        if received >= _FEW_BYTES:
            return
        self._small += 1
        if self._small > _MOST_SMALL_PARTS:
            raise RangeNotSupportedError(
                f"the server sends ranges in parts of a few bytes: more than {_MOST_SMALL_PARTS} replies had "
                f"fewer than {_FEW_BYTES} bytes each",
                source=self._name,
            )
