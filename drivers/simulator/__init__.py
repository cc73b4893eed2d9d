"""A simulated headset."""
