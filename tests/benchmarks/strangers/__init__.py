"""Readers of predictions beside clients without a token."""
