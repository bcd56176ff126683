"""Retries of failures that may be temporary, within a deadline, each with a warning in the log."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from asyncframes._model.quoting import shortened
from asyncframes.errors import (
    ShortReadError,
    SourceError,
    SourceTimeoutError,
    SourceUnavailableError,
)
from asyncframes.sources._limits import check_counts

T = TypeVar("T")

_log = logging.getLogger("asyncframes")

# Waits double from the first to the longest, both here and in obstore.
_FIRST_WAIT_SECONDS = 0.2
_GROWTH = 2.0
_MOST_JITTER_SECONDS = 0.5
_LONGEST_WAIT_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How often to try an exchange, and how long to wait between attempts.

    Attributes
    ----------
    attempts
        Most attempts, including the first.
    max_retry_after_seconds
        Longest wait that a server may ask for. If it asks for more, the exchange fails.
    name
        Name of the source, for the log.
    """

    attempts: int
    max_retry_after_seconds: float
    name: str

    def __post_init__(self) -> None:
        check_counts(least=1, attempts=self.attempts)

    async def run(self, exchange: Callable[[int], Awaitable[T]], *, deadline: float) -> T:
        """Call `exchange` until it succeeds, fails for good, or runs out of attempts or time.

        Parameters
        ----------
        exchange
            Called with the number of the attempt, from 1.
        deadline
            Time on the event loop's clock. No wait continues past it.
        """
        for attempt in range(1, self.attempts):
            try:
                return await exchange(attempt)
            except SourceError as exc:
                wait = self._wait_after(exc, attempt)
                if wait is None or asyncio.get_running_loop().time() + wait >= deadline:
                    raise
                self._log_retry(exc, attempt, wait)
            await asyncio.sleep(wait)
        return await exchange(self.attempts)

    def _wait_after(self, exc: SourceError, attempt: int) -> float | None:
        if not may_pass(exc):
            return None
        asked = exc.retry_after_seconds if isinstance(exc, SourceUnavailableError) else None
        if asked is None:
            return backoff_seconds(attempt)
        return asked if asked <= self.max_retry_after_seconds else None

    def _log_retry(self, exc: SourceError, attempt: int, wait: float) -> None:
        facts = {
            "source": shortened(self.name),
            "attempt": attempt,
            "attempts": self.attempts,
            "reason": str(exc).removesuffix(f" [{shortened(exc.source or '')}]"),
            "wait_seconds": wait,
        }
        _log.warning(
            "%(source)s: attempt %(attempt)d of %(attempts)d failed: %(reason)s; "
            "the next attempt starts in %(wait_seconds).1f s",
            facts,
            extra=facts,
        )


def may_pass(exc: SourceError) -> bool:
    """Whether a retry may succeed."""
    return isinstance(exc, (SourceUnavailableError, SourceTimeoutError, ShortReadError))


def backoff_seconds(attempt: int) -> float:
    """Return the wait after a failed attempt: it doubles each time, plus a random part."""
    jitter = random.uniform(0, _MOST_JITTER_SECONDS)  # noqa: S311 - spreads requests out, not a secret
    return min(_LONGEST_WAIT_SECONDS, _FIRST_WAIT_SECONDS * _GROWTH ** (attempt - 1) + jitter)


def retries_of_obstore(attempts: int, within_seconds: float) -> dict[str, Any]:
    """Return the same policy as a ``retry_config`` for obstore, which does its own retries."""
    return {
        "max_retries": attempts - 1,
        "retry_timeout": timedelta(seconds=within_seconds),
        "backoff": {
            "init_backoff": timedelta(seconds=_FIRST_WAIT_SECONDS),
            "max_backoff": timedelta(seconds=_LONGEST_WAIT_SECONDS),
            "base": _GROWTH,
        },
    }
