"""The tiny generator with a table of its latents, and pictures that it draws."""

import torch

from ganrev.pixels import to_images
from tests.tiny import TinyGenerator

STEPS = torch.linspace(0.5, 2.0, 16)


def told_generator():
    """Return the tiny generator with a table of its latents."""
    generator = TinyGenerator()
    generator.set_latent_statistics(torch.full((16,), 0.5), STEPS)
    return generator


def drawn_images(num_images):
    """Return pictures that the generator can draw, so that bytes buy quality at any size."""
    z = torch.rand(num_images, 16, generator=torch.Generator().manual_seed(5)) * 2 - 1
    return to_images(told_generator()(z).detach())
