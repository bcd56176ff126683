"""What tests, benchmarks and proofs share."""
