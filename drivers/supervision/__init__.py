"""Supervision of live sources: reconnection, frozen signals."""
