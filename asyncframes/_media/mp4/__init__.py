"""The boxes of MP4 and MOV files, read by ranges."""
