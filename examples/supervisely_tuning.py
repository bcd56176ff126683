"""Write with more threads and decode further ahead.

Peak memory is about (queue_maxsize + max_write_workers + 1) * frame_bytes,
plus the cache and the codec's own pictures.
"""

import os
import sys

from asyncframes.supervisely import SuperviselyServer, stream_video_frames_to_dir

api = SuperviselyServer(os.environ["SERVER_ADDRESS"], os.environ["API_TOKEN"])
output_dir = sys.argv[1] if len(sys.argv) > 1 else "frames"

paths = stream_video_frames_to_dir(
    api=api,
    video_id=int(os.environ["VIDEO_ID"]),
    output_dir=output_dir,
    start=0,
    end=29,
    ext="jpg",
    max_write_workers=8,
    queue_maxsize=64,
)
print(f"{len(paths)} JPEG files in {output_dir}")
