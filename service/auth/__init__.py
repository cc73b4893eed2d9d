"""Authentication and authorization: tokens, logins, scopes, permissions."""
