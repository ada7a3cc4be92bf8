"""Train the embedded generator: `ganrev train`."""
