"""Finished recordings: how they were made, and what they show."""
