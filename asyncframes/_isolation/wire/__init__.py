"""What two processes tell each other about a video, and the memory that they share."""
