"""Bytes behind any filesystem that fsspec knows."""
