"""Labelled EEG of people, as trials that a model is trained and judged on."""
