"""Decoded pictures to arrays."""
