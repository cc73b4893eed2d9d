"""Evaluation of candidates on data sets: protocols, metrics, calibration and reports."""
