"""The server process: application, start, shutdown."""
