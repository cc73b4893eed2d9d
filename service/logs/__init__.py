"""Logs: everything that the readers of a session can be sent."""
