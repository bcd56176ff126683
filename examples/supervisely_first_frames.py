"""Save the first ten frames of a Supervisely video as PNG.

Needs SERVER_ADDRESS, API_TOKEN and VIDEO_ID in the environment; an optional
argument names the directory. If you have the SDK, use ``sly.Api.from_env()``
in place of `SuperviselyServer`, and change nothing but the import.
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
    end=9,
)
print(f"Saved {len(paths)} frames:")
for path in paths:
    print(path)
