"""Sample a video as the processors of video-language models expect it.

    python video_sampler.py VIDEO

Two frames a second, but at most 64, spread evenly then. The longer side is at most 448 pixels, and both are
multiples of 28, the patch of such a model. The array and the metadata go to a processor of Hugging Face's
``transformers``: ``processor(text=…, videos=[images], video_metadata=[metadata], do_sample_frames=False)``.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

import asyncframes as af


def sample(source: str) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    """Return images of shape (frames, height, width, 3), and what the processor is to know of them."""
    with af.sync.open_video(source) as video:
        batch = video.batch(fps=2, max_frames=64, max_side=448, multiple_of=28)
    return batch.images, batch.metadata()


def main() -> None:
    images, metadata = sample(sys.argv[1])
    print(images.shape, metadata)


if __name__ == "__main__":
    main()
