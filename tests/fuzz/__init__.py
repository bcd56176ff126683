"""A mutational fuzzer: files are damaged, and what comes out is held against one codec thread."""
