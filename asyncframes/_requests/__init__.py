"""Requests for frames: from a selection to a queue, by way of a route, a job, and a decoder with its turn."""
