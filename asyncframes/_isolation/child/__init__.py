"""The decoding process: it locks itself, and serves the requests of one video at a time."""
