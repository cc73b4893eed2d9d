"""Sessions: one source each, with its logs."""
