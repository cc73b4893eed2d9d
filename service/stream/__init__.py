"""The WebSocket stream: its connections, readers and hub."""
