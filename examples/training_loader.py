"""Feed random clips of many videos to a training loop.

pip install 'asyncframes-video[torch]'
python training_loader.py VIDEO...
"""

from __future__ import annotations

import sys

import torch
from torch.utils.data import DataLoader

from asyncframes.torch import ClipDataset


def main() -> None:
    clips = ClipDataset(
        sys.argv[1:],
        num_frames=8,
        stride=2,
        clips_per_video=4,
        resize=(112, 112),
        fit="cover",
        seed=1,
    )
    model = torch.nn.Conv3d(3, 4, kernel_size=3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    loader = DataLoader(clips, batch_size=4, shuffle=True, num_workers=2, persistent_workers=True)
    for epoch in range(2):
        clips.set_epoch(epoch)
        for batch in loader:
            # From (clip, frame, channel, …) to (clip, channel, frame, …), which convolutions over time take.
            images = batch["frames"].to(torch.float32).div_(255).transpose(1, 2)
            loss = model(images).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            print(f"epoch {epoch}: {tuple(batch['frames'].shape)}, loss {loss.item():.4f}")


if __name__ == "__main__":
    main()
