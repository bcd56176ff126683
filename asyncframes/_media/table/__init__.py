"""Frame tables, built from packets or by decoding."""
