"""The same in a coroutine: frames to files, and frames one by one, side by side on one loop."""

import asyncio
import os
import sys

from asyncframes.supervisely import (
    SuperviselyServer,
    async_stream_video_frames,
    async_stream_video_frames_to_dir,
)

api = SuperviselyServer(os.environ["SERVER_ADDRESS"], os.environ["API_TOKEN"])
video_id = int(os.environ["VIDEO_ID"])
output_dir = sys.argv[1] if len(sys.argv) > 1 else "frames"


async def save() -> None:
    paths = await async_stream_video_frames_to_dir(api, video_id, output_dir, start=0, end=9)
    print(f"Saved {len(paths)} frames")


async def look() -> None:
    async for index, image in async_stream_video_frames(api, video_id, start=20, end=24):
        print(f"Got frame {index}, shape: {image.shape}, mean: {image.mean():.1f}")


async def main() -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(save())
        tasks.create_task(look())


asyncio.run(main())
