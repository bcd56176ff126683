"""Which combinations of parameters the fast half of the tests tries."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import pytest


def grid(*axes: Iterable[Any], fast: Callable[..., bool]) -> list[Any]:
    """Combine parameters; those for which `fast` is false repeat the others, and are slow."""
    return [
        pytest.param(*values, marks=[] if fast(*values) else [pytest.mark.slow])
        for values in itertools.product(*axes)
    ]
