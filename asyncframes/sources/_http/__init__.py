"""Files on HTTP servers."""
