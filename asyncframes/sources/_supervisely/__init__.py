"""Videos on a Supervisely server."""
