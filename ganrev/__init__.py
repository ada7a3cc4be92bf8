"""GAN Reversal: compress a face by finding the latent vector of a frozen generator that redraws it."""

import os

__version__ = "0.1.0"

# OpenMP's threads spin while they wait for each other. Two processes on the same cores then mostly wait: two reversals
# take fifteen times as long as one. A short spin mends that and costs a lone process next to nothing. It is read once,
# when torch loads the OpenMP library, and so it stands here, before any module of the package imports torch.
os.environ.setdefault("GOMP_SPINCOUNT", "2000")
