"""Stepping of a network: state pool, devices, CUDA graphs."""
