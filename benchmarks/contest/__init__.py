"""Workloads that all peers do in turn, and the report; `benchmarks.bench_frames` runs them."""
