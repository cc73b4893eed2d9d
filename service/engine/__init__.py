"""Model stepping for all sessions."""
