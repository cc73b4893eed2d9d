"""Checks for ``mimamba doctor``: everything that mimamba needs is there and works."""
