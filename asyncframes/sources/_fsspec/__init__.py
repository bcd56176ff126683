"""Files of fsspec's filesystems."""
