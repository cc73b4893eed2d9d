"""From a source's samples to the model's hops, signal quality and band power."""
