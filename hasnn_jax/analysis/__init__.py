"""Plots of runs and of the bit-plane coding."""
