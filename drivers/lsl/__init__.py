"""Streams of the lab streaming layer, in and out."""
