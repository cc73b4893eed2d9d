"""Labelled EEG data sets: DEAP, DREAMER, SEED and BIDS, read into trials."""
