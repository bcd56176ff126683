"""What the bytes of a packet tell without decoding it."""
