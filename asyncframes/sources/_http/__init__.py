"""Bytes behind an HTTP server."""
