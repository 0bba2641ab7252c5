"""One training step over a mesh of devices and processes: state, gradients, optimizers, sharding."""
