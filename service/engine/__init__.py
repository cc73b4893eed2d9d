"""The engine that steps a model for all sessions."""
