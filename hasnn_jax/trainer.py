"""The public name of the training run: `hasnn_jax.trainer.train_and_evaluate`."""

from hasnn_jax.runs.train import train_and_evaluate

__all__ = ["train_and_evaluate"]
