"""The training run's parts: state, steps, optimizers, sharding, checkpoints and metrics."""
