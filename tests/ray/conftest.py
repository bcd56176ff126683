"""Clips that several files of tests read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ray.rows import COUNTS, write_clips


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("clips")
    write_clips(made, COUNTS, gop=10, open_gop=True)
    return made
