"""MS-iMamba (arXiv 2409.07589) in PyTorch."""
