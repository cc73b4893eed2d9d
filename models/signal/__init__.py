"""Samples to hops: preprocessing, montage, quality, band power, baseline."""
