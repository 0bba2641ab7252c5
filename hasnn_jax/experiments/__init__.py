"""Experiments: variants of one config, trained with the same seeds, compared, and reported from their files alone."""
