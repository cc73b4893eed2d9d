"""Trained weights: file format, catalog, card; the checkpoints that ship."""
