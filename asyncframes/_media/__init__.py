"""Containers and codecs: the only package that imports PyAV."""
