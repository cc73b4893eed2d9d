"""Recordings in files: one folder per family of formats, with readers and writers."""
