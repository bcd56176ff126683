"""Frames by every common way, one workload after another; ``bench_frames.py`` runs it."""
