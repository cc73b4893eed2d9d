"""A service under load for ten minutes, its memory over an hour, and checks for leaks."""
