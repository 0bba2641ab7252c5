"""What lies on disk of a model: a run's checkpoints and folders of weights, written, checked and read."""
