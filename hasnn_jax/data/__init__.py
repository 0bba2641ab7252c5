"""Sources of labelled images, and the pipeline that makes batches of them. NumPy only, never JAX."""

from collections.abc import Callable

from hasnn_jax.data.digits_source import open_digits
from hasnn_jax.data.folder_source import open_folder
from hasnn_jax.data.pipeline import Reading, evaluation_batches, train_batches
from hasnn_jax.data.preprocessing import Preprocessing
from hasnn_jax.data.sources import Source, Split
from hasnn_jax.data.tfds_source import open_tfds
from hasnn_jax.data.validation import hold_out

# The functions' parameters are named as the keys of `config.data`, from which they are filled: see data/sources.py.
SOURCES: dict[str, Callable[..., Source]] = {"digits": open_digits, "folder": open_folder, "tfds": open_tfds}

__all__ = ["SOURCES", "Preprocessing", "Reading", "Source", "Split", "evaluation_batches", "hold_out", "open_digits",
           "open_folder", "open_tfds", "train_batches"]  # fmt: skip
