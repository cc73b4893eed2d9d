"""The server process: application, start, metrics."""
