"""Videos of a Supervisely server."""
