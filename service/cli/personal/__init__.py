"""Commands about a person's own output."""
