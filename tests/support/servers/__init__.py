"""Servers that tests run, well behaved or not."""
