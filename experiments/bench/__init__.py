"""How fast and how lean reversal is, beside a plain loop: `ganrev bench`."""
