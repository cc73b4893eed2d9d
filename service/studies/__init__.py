"""Studies: protocols of timed steps, and those that go on in sessions."""
