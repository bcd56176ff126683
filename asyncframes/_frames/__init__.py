"""What users hold: frames, batches of them, and encoders for their images."""
