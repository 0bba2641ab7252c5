"""The package tensorflow-datasets, which is optional and slow to import."""

from typing import Any

from hasnn_jax.common.errors import InputError


def import_tfds(needed_by: str, extra: str = "tfds") -> Any:
    """Imports tensorflow_datasets.

    Args:
      needed_by: start of the error message: what needs the package.
      extra: the extra of hasnn_jax that installs it.

    Raises:
      InputError: it is not installed; the message names the command that installs it.
    """
    try:
        import tensorflow_datasets as tfds
    except ImportError:
        raise InputError(f"{needed_by} needs tensorflow-datasets; run: pip install 'hasnn_jax[{extra}]'") from None
    return tfds
