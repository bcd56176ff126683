"""Limits on what a video may cost and reach, as values."""
