"""Measures of the body beside the EEG: heart rate and motion."""
