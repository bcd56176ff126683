"""Containers: opening, formats, packets and seeking."""
