"""Requests as jobs that a worker thread takes bounded steps of."""
