"""People: pseudonyms with notes and baselines."""
