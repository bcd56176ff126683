"""Threads, event loops and temporary files: what outlives a call, and how it ends."""
