"""Tokens, scopes and permissions."""
