"""A trained model in use: loading it with all it needs, its predictions, what its blocks compute, and its export."""
