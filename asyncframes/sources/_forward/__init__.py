"""Sequential sources: bytes that arrive once and in order."""
