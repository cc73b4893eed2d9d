"""Recordings, studies and feedback that go on at another gateway when theirs dies."""
