"""Data loaders of PyTorch, where it is installed."""
