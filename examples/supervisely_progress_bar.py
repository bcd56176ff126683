"""Show how many frames are on disk: progress_cb is called with 1 after each."""

import os
import sys

from tqdm import tqdm

from asyncframes.supervisely import SuperviselyServer, stream_video_frames_to_dir

api = SuperviselyServer(os.environ["SERVER_ADDRESS"], os.environ["API_TOKEN"])
output_dir = sys.argv[1] if len(sys.argv) > 1 else "frames"

with tqdm(total=20, desc="Streaming frames") as bar:
    stream_video_frames_to_dir(
        api=api,
        video_id=int(os.environ["VIDEO_ID"]),
        output_dir=output_dir,
        start=10,
        end=29,
        progress_cb=bar.update,
    )
