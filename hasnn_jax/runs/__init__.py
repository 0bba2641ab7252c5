"""A run in its folder: training and evaluation from start to end, what is logged, and what is reported."""
