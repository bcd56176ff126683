"""Decoding in a process of its own, which can be limited, locked and killed."""
