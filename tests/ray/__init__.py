"""Datasets of Ray Data, where it is installed."""
