"""The MS-iMamba network (arXiv 2409.07589) in PyTorch: configuration, layers, fixed shapes."""
