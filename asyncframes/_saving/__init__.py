"""Saving frames of a video as files: what to write, what to keep, and progress bars."""
