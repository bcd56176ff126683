"""A notebook's kernel: cells read in both ways, and what they leave open does not hold it up."""

from __future__ import annotations

import subprocess
import sys
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.streams.clips import repeated

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("ipykernel") is None, reason="ipykernel is not installed (extra test)"),
]

# A process of its own, as Jupyter's client is not free of warnings.
NOTEBOOK = """
import sys
from jupyter_client.manager import start_new_kernel

manager, client = start_new_kernel()
for cell in sys.stdin.read().split("# %%"):
    reply = client.execute_interactive(cell, timeout=60)
    assert reply["content"]["status"] == "ok", reply["content"]
process = manager.provisioner.process
client.shutdown()
assert process.wait(30) == 0, process.returncode
client.stop_channels()
"""

CELLS = {
    "awaited": """
import asyncframes as af
video = await af.open_video(PATH)
# %%
frames = video.frames(queue_maxsize=1)
assert (await anext(frames)).index == 0
# %%
async for frame in video.frames(queue_maxsize=1):
    break
assert (await video.frame(30)).index == 30
""",
    "blocking": """
import asyncframes as af
video = af.sync.open_video(PATH)
# %%
frames = video.frames(queue_maxsize=1)
assert next(frames).index == 0
# %%
single = af.sync.stream_frames(PATH, queue_maxsize=1)
assert next(single)[0] == 0
for frame in video.frames(queue_maxsize=1):
    break
assert video.frame(30).index == 30
""",
    "error": """
import asyncframes as af
video = af.sync.open_video(PATH)
# %%
try:
    for frame in video.frames(queue_maxsize=1):
        kept = frame
        raise KeyError(1)
except KeyError as exc:
    error = exc
""",
}


BARS = """
import sys
from jupyter_client.manager import start_new_kernel

manager, client = start_new_kernel()
shown = []
for cell in sys.stdin.read().split("# %%"):
    reply = client.execute_interactive(
        cell, timeout=60, output_hook=lambda message: shown.append(message["content"])
    )
    assert reply["content"]["status"] == "ok", reply["content"]
print([content.get("data") or content.get("text") for content in shown])
client.shutdown()
client.stop_channels()
"""
BAR_CELLS = """
import tempfile
import asyncframes as af
paths = await af.stream_frames_to_dir(PATH, tempfile.mkdtemp(), end=3, show_decoding_progress=True)
assert len(paths) == 4
# %%
paths = af.sync.stream_frames_to_dir(PATH, tempfile.mkdtemp(), end=3, show_decoding_progress=True)
for result in af.sync.extract_many([(PATH, tempfile.mkdtemp())], end=3, show_progress=True):
    assert result.error is None
# %%
video = af.sync.open_video(PATH)
video[0]
# %%
video[0:20:5]
# %%
sheet = await af.open_video(PATH)
await sheet.contact_sheet(rows=1)
"""


def run_cells(program: str, cells: str, clip: Path) -> str:
    clip.write_bytes(repeated(files("asyncframes").joinpath("data", "bunny.mp4").read_bytes(), 4))
    ended = subprocess.run(
        [sys.executable, "-c", program],
        input=cells.replace("PATH", repr(str(clip))),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_a_notebook_shows_bars_and_pictures(tmp_path: Path) -> None:
    """Bars are widgets if ipywidgets is there, and text if not; what cells return is a picture."""
    shown = run_cells(BARS, BAR_CELLS, tmp_path / "clip.mp4")
    assert shown.count("'image/png'") == 3
    if find_spec("ipywidgets") is None:
        assert "Decoding packets: 100%" in shown
    else:
        # The bars of packets, twice, of all videos and of one.
        assert shown.count("application/vnd.jupyter.widget-view+json") == 4
        assert "\\rDecoding packets" not in shown
        assert shown.count("packets:\\u2007100%") == 2


@pytest.mark.parametrize("name", CELLS)
def test_a_kernel_shuts_down_by_itself(name: str, tmp_path: Path) -> None:
    """Neither way leaves a thread that the kernel waits for."""
    run_cells(NOTEBOOK, CELLS[name], tmp_path / "clip.mp4")
