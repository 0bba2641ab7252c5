"""The weights of the authors' PyTorch release, in and out."""
