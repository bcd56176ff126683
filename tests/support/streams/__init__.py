"""Clips and streams that tests make."""
