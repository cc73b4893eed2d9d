"""Text files of vendors' and other programs."""
