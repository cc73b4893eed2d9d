"""Playback of recordings as if they were live."""
