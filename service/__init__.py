"""The web service: sessions, API, WebSocket stream, recordings, command line."""
