"""From an address on the command line to a source."""
