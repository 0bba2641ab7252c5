"""`python -m hasnn_jax`, the same as `hasnn`."""

from hasnn_jax.commands.main import main

if __name__ == "__main__":  # worker processes import this file, too
    main()
