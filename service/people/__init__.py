"""People as pseudonyms, with notes and baselines."""
