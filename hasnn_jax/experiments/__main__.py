"""`python -m hasnn_jax.experiments NAME`, the same as `hasnn experiment NAME`."""

import sys

from hasnn_jax.commands.main import main

if __name__ == "__main__":  # worker processes import this file, too
    main(["experiment", *sys.argv[1:]])
