"""Recordings of the service: recorder, list, uploads, recovery, verification."""
