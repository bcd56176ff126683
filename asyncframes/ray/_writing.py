from typing import Any
FrameFiles: Any = None
WriteFilesOptions: Any = None
write_frames: Any = None
