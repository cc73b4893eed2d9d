"""Routes of a person's own output: calibrations, heads, ratings; and of studies."""
