"""The MS-iMamba model: preprocessing, network, inference, training and evaluation."""
