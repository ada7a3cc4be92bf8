"""Train the embedded generator: `python -m ganrev.train`."""
