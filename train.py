"""`python train.py` is `hasnn train`: trains a HAS-8 classifier. See `python train.py --help`."""

import sys

from hasnn_jax.commands.main import main

if __name__ == "__main__":
    main(["train", *sys.argv[1:]])
