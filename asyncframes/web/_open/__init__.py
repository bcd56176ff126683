"""Videos that are open, and how long they stay open."""
