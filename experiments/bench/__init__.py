"""`ganrev bench`: speed and memory of reversal, beside those of a plain loop."""
