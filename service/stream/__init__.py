"""The WebSocket stream: connections, hub, readers."""
