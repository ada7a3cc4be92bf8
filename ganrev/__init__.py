"""GAN Reversal: compress a face by finding the latent vector of a frozen generator that redraws it."""

__version__ = "0.1.0"
