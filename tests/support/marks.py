"""What the fast half of the tests leaves out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import settings

FULL, FEW = 100, 20
"""Examples of a property test that says nothing else, in all tests and in the fast half."""


BOTH_ISOLATIONS = pytest.mark.usefixtures("isolation")
"""Have the tests of a module decode in threads, and in the slow half also in a process of their own.

Those that look into the decoder are marked ``in_threads``.
"""


def grid(*axes: Iterable[Any], fast: Callable[..., bool]) -> list[Any]:
    """Combine parameters; those for which `fast` is false repeat the others, and are slow."""
    return [
        pytest.param(*values, marks=[] if fast(*values) else [pytest.mark.slow])
        for values in itertools.product(*axes)
    ]


def examples(most: int) -> int:
    """Return how many examples a property test tries: `most` if all tests run, fewer in the fast half."""
    return max(1, most * settings().max_examples // FULL)
