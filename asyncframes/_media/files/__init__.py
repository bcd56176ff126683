"""File objects that FFmpeg reads from."""
