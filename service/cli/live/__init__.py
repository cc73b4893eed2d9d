"""Commands about the sessions of a running service."""
