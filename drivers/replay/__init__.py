"""Recordings played as if they were live."""
