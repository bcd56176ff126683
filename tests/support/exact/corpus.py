"""The corpus of real files beside the project, where it is there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

LONG = 500
"""Frames beyond which the tests of a file are slow ones."""

LARGE = 4_000_000
"""Pixels in all frames together beyond which they are, too."""

SHARED = Path(__file__).resolve().parents[4] / "shared"
CORPUS = SHARED / "corpus"


@dataclass(frozen=True)
class CorpusFile:
    """A file and what an independent program found in it."""

    path: Path
    truth: dict[str, Any]

    @property
    def frame_count(self) -> int:
        count: int = self.truth.get("frame_count") or 0
        return count

    @property
    def pixel_count(self) -> int:
        width, height = (self.truth.get(f"{side}_after_rotation") or 0 for side in ("width", "height"))
        count: int = self.frame_count * width * height
        return count

    @property
    def is_playable(self) -> bool:
        """Whether it has frames of a real video stream; cover art is none."""
        streams = self.truth.get("video_streams") or []
        return self.frame_count > 0 and any(not stream["attached_pic"] for stream in streams)

    @property
    def is_damaged(self) -> bool:
        """Whether ffmpeg or ffprobe complained of it."""
        errors = self.truth.get("decode_errors") or {}
        return bool(errors.get("ffprobe_lines") or errors.get("ffmpeg_lines"))

    @property
    def is_mp4(self) -> bool:
        return str(self.truth.get("container", "")).startswith("mov")


@cache
def corpus_files() -> tuple[CorpusFile, ...]:
    """Return every file of the corpus, none where it is absent."""
    return tuple(
        CorpusFile(truth.with_name(truth.name.removesuffix(".truth.json")), json.loads(truth.read_text()))
        for truth in sorted(CORPUS.glob("*.truth.json"))
    )


def parameters(*, playable: bool = True, mp4: bool | None = None) -> list[Any]:
    """Parameters for a test of each file; one skipped parameter where the corpus is absent."""
    files = [file for file in corpus_files() if file.is_playable == playable and mp4 in {None, file.is_mp4}]
    if not files:
        reason = "the corpus of real files (../shared/corpus) is not beside this checkout"
        return [pytest.param(None, marks=pytest.mark.skip(reason=reason), id="no-corpus")]
    return [pytest.param(file, id=file.path.name, marks=_marks(file)) for file in files]


def _marks(file: CorpusFile) -> list[pytest.MarkDecorator]:
    return [pytest.mark.slow] if file.frame_count > LONG or file.pixel_count > LARGE else []
