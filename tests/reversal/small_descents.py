"""Small reversals with the tiny generator."""

import torch

from ganrev.reversal.losses import MSE
from ganrev.reversal.reversing import reverse
from tests.tiny import TinyGenerator


def drawn(num_images, scale=1.0, seed=0):
    """Return latents of the tiny generator and the pictures it draws from them, x in [-1, 1]."""
    generator = TinyGenerator().freeze()
    z = generator.sample_prior(num_images, torch.Generator().manual_seed(seed)) * scale
    return z, generator(z)


def run(targets, settings, seeds=None, loss=None, generator=None, on_step=None):
    generator = (generator or TinyGenerator()).freeze()
    seeds = range(len(targets)) if seeds is None else seeds
    rngs = [torch.Generator().manual_seed(seed) for seed in seeds]
    return reverse(generator, loss or MSE(), targets, rngs, settings, on_step)
