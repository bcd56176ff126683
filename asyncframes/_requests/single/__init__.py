"""Requests for single frames: grouped by GOP, or served from pictures that were decoded before."""
