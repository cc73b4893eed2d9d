"""Recordings made by the service: recorder, library, upload, recovery."""
