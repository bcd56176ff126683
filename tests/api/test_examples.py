"""Every program in examples/ runs as it stands, against servers on loopback."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import imageio.v3 as iio
import pytest

from tests.support.servers.supervisely_platform import TOKEN, Platform
from tests.support.streams.clips import clip_bytes, painted_index

EXAMPLES = Path(__file__).parents[2] / "examples"

SUPERVISELY = {
    "supervisely_first_frames.py": (range(10), "Saved 10 frames:"),
    "supervisely_progress_bar.py": (range(10, 30), "20/20"),
    "supervisely_decoding_progress.py": (range(40, 48), "8 frames from frame 40"),
    "supervisely_tuning.py": (range(30), "30 JPEG files"),
    "supervisely_async.py": (range(10), "Got frame 24, shape: (64, 96, 3)"),
}


def test_each_example_is_run() -> None:
    """A program that is added is tested too."""
    cookbook = {
        "ray_embeddings.py",
        "serve_uploads.py",
        "thumbnail_service.py",
        "training_loader.py",
        "upload_service.py",
        "video_sampler.py",
    }
    assert {path.name for path in EXAMPLES.glob("*.py")} == {*SUPERVISELY, *cookbook, "tar_member.py"}


@pytest.mark.slow
def test_a_member_of_a_tar_file(tmp_path: Path) -> None:
    """Frames come out of the archive as it lies there."""
    (tmp_path / "clip.mp4").write_bytes(clip_bytes(frames=24))
    with tarfile.open(tmp_path / "videos.tar", "w") as archive:
        archive.add(tmp_path / "clip.mp4", "clip.mp4")
        archive.add(tmp_path / "clip.mp4", "other.mp4")
    command = [str(EXAMPLES / "tar_member.py"), "videos.tar", "clip.mp4", "out"]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-X", "dev", *command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Saved 10 frames:" in done.stdout
    assert [painted_index(iio.imread(path)) for path in sorted((tmp_path / "out").glob("[!.]*"))] == list(
        range(10)
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", SUPERVISELY)
def test_supervisely_examples(name: str, tmp_path: Path) -> None:
    """It writes the frames that it says, and says what it did."""
    indices, said = SUPERVISELY[name]
    with Platform() as platform:
        platform.add_video(7, clip_bytes(frames=48))
        settings = {"SERVER_ADDRESS": platform.address, "API_TOKEN": TOKEN, "VIDEO_ID": "7"}
        done = subprocess.run(
            [sys.executable, "-W", "error", "-X", "dev", str(EXAMPLES / name), str(tmp_path / "out")],
            env=os.environ | settings,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert said in done.stdout + done.stderr
    written = sorted((tmp_path / "out").glob("[!.]*"))
    assert [painted_index(iio.imread(path)) for path in written] == list(indices)
    assert [path.stem for path in written] == [f"frame_{index:06d}" for index in indices]
