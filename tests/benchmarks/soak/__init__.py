"""A service under load for ten minutes, and checks for leaks."""
