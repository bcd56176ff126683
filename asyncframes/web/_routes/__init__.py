"""One module for each kind of answer about a video."""
