"""Checks for ``mimamba doctor``: everything that mimamba needs is installed and works."""
