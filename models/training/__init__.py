"""Training loop of the network, with recipes, windowing, batches, augmentation and loss."""
