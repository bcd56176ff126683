"""From a selection to a queue of frames: the route, the job, the decoders and their turns."""
