"""Sources that can be reached now: headsets nearby, LSL streams, boards."""
