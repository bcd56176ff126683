"""The peak of a process' memory."""

from __future__ import annotations

PEAK = """
def peak():
    # The kernel keeps ru_maxrss across exec, so a child's begins at the size of its parent.
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))
"""
"""Program text: a function that returns the most bytes that its process has held, on Linux."""
