"""Sources of EEG samples: headsets, LSL streams, recordings, the simulator."""
