"""A person's own output: calibrated on their blocks, with a verdict on blocks held out."""
