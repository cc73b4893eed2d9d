"""Recordings in files: one folder per family of formats, reader beside writer."""
