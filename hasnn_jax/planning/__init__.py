"""What training would cost on devices that need not be present: the step is compiled ahead of time for them."""
