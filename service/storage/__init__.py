"""The data folder: private files, disk space, own checkpoints."""
