"""Threads, event loops and temporary files: everything that outlives a call."""
