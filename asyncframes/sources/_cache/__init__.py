"""Blocks, read-ahead and merged reads over any source."""
