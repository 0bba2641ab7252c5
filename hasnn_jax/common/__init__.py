"""What every room may use: errors, names, files, locks, and what is shown while work goes on."""
