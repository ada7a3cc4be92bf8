"""Training the learned opponents: `python -m experiments.opponents`, or `make opponents`."""
