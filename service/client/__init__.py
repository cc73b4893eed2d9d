"""A client of the WebSocket stream."""
