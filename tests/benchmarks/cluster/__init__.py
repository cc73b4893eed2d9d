"""Workers and gateways of a bus that are killed at random."""
