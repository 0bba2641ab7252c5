"""Trains a HAS-8 classifier: python train.py --config configs/imagenet.py --workdir runs/imagenet.

Any setting is one override, such as --config.optim.learning_rate=3e-4; they are listed in hasnn_jax/config.py.
"""

import os
import pathlib
import sys

from absl import app, flags, logging
from ml_collections import config_flags

HERE = pathlib.Path(__file__).parent
CONFIG = config_flags.DEFINE_config_file("config", str(HERE / "configs" / "digits.py"), "what to train on what")
WORKDIR = flags.DEFINE_string("workdir", None, "folder of the run; by default runs/<name of the config file>")


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        sys.exit(f"train.py: unexpected argument {argv[1]!r}; settings are given as --config.KEY=VALUE")
    if not flags.FLAGS["verbosity"].present:  # --verbosity=0 shows what JAX and Orbax log
        logging.set_verbosity(logging.WARNING)
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(pathlib.Path("~/.cache/hasnn_jax").expanduser()))
    from hasnn_jax.errors import InputError
    from hasnn_jax.trainer import train_and_evaluate

    default = pathlib.Path("runs") / pathlib.Path(config_flags.get_config_filename(flags.FLAGS["config"])).stem
    try:
        train_and_evaluate(CONFIG.value, WORKDIR.value or default)
    except InputError as error:
        sys.exit(f"train.py: {error}")


if __name__ == "__main__":
    app.run(main)
