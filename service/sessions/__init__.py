"""Sessions: one source each, with its logs and its model."""
