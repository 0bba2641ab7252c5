"""How many examples there are to train on, and what their images are."""

from ml_collections import ConfigDict

from hasnn_jax.assembly import open_source
from hasnn_jax.data import SOURCES
from hasnn_jax.errors import InputError
from hasnn_jax.lookup import look_up

TRAINING_EXAMPLES = {"imagenet2012": 1_281_167, "cifar10": 50_000, "cifar100": 50_000}  # where the data is not here


def look_at_data(settings: ConfigDict, examples: int | None) -> tuple[int, int]:
    """Training examples, and channels of an image; a well-known data set need not be here.

    Args:
      settings: the config's data section.
      examples: overrides what the data says.

    Raises:
      InputError: nobody says how many examples there are, or the data contradicts the config.
    """
    look_up("data source", settings.source, SOURCES)
    try:
        source = open_source(settings)
    except InputError as error:
        if str(error).startswith("config."):
            raise
        known = examples or TRAINING_EXAMPLES.get(settings.name.split(":")[0])
        if known is None:
            raise InputError(f"{error}; or say by --examples how many there are for training") from None
        return known, 3
    image = source.train[0]["image"]
    return examples or len(source.train), 3 if isinstance(image, bytes) else image.shape[-1]
