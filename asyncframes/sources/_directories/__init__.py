"""Directories as lists of their videos."""
