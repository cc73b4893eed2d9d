"""The network in NumPy, for one small batch at a time on a CPU."""
