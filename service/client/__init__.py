"""Clients of the WebSocket stream and of the REST API."""
