"""Text files that the makers' and other programs write."""
