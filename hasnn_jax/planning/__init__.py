"""What training costs on devices that are not here: compiled for them ahead of time, and read off the executable."""
