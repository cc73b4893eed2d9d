"""Training of a checkpoint from a data set, with resume, model card and the shipped demo."""
