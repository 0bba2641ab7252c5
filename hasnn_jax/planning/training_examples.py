"""The number of training examples, and the channels of their images."""

from ml_collections import ConfigDict

from hasnn_jax.assembly.data import open_source, require_classes
from hasnn_jax.common.errors import InputError
from hasnn_jax.common.lookup import look_up
from hasnn_jax.data import SOURCES

# For planning without the data.
TRAINING_EXAMPLES = {"imagenet2012": 1_281_167, "cifar10": 50_000, "cifar100": 50_000}


def count_examples(settings: ConfigDict, examples: int | None) -> tuple[int, int]:
    """Training examples, and channels of an image. A well-known data set need not be present.

    Args:
      settings: the config's data section.
      examples: replaces the number of examples of the data; None: count them.

    Raises:
      InputError: the data source is unknown, the number of examples is unknown, or the data has another number of
        classes than the config.
    """
    look_up("data source", settings.source, SOURCES)  # a name that is misspelled is not data that is missing
    try:
        source = open_source(settings)
    except InputError as error:
        known = examples or TRAINING_EXAMPLES.get(settings.name.split(":")[0])
        if known is None:
            raise InputError(f"{error}; or give the number of training examples with --examples") from None
        return known, 3
    require_classes(source, settings.num_classes)
    image = source.train[0]["image"]
    return examples or len(source.train), 3 if isinstance(image, bytes) else image.shape[-1]
