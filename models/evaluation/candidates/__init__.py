"""Candidates of an evaluation: our recipes, published networks, band-power classifiers."""
