"""From the words of a command line to values, and back in errors."""
