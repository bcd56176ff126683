"""What the bytes of a packet say without decoding it."""
