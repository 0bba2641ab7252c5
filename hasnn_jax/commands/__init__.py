"""`hasnn NAME`, or `python -m hasnn_jax NAME`: each file parses one command's arguments and prints its result."""
