"""Text files written by vendors' software and other programs."""
