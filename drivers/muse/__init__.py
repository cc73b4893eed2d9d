"""Muse headsets over Bluetooth, through bleak: nothing of their maker's has to be installed."""
