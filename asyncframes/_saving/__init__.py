"""Frames of a video to files: what is written, what is left, and bars while it goes on."""
