"""Fixtures that every test may use."""

from __future__ import annotations

import pytest


@pytest.fixture(params=[pytest.param(("asyncio", {"debug": True}), id="asyncio")])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Run coroutine tests on asyncio in debug mode."""
    backend: tuple[str, dict[str, bool]] = request.param
    return backend
