"""One stream's chunks to predictions."""
