"""Show bars that count packets: those read to find the frames, and those decoded."""

import os
import sys

from asyncframes.supervisely import SuperviselyServer, stream_video_frames_to_dir

api = SuperviselyServer(os.environ["SERVER_ADDRESS"], os.environ["API_TOKEN"])
output_dir = sys.argv[1] if len(sys.argv) > 1 else "frames"

paths = stream_video_frames_to_dir(
    api=api,
    video_id=int(os.environ["VIDEO_ID"]),
    output_dir=output_dir,
    start=40,
    show_decoding_progress=True,
)
print(f"{len(paths)} frames from frame 40 to the end")
