"""Requests for frames: from a selection to a queue of frames, by route, job and decoder."""
