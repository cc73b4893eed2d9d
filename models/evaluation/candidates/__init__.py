"""Models compared in an evaluation: ours, published networks, band power."""
