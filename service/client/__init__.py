"""Client of the WebSocket stream."""
