"""Values and arithmetic: no I/O, no PyAV, no event loop."""
