"""A photo that the tiny generator can draw, and overrides to compress it with."""

import torch

from ganrev.pixels import to_images
from tests.tiny import OVERRIDES, TinyGenerator

TINY = ["--", "codec=gan", *OVERRIDES]
SEEN = [*TINY, "latent_scale=1", "quant=none", "reversal.steps=200"]


def seen_image():
    generator = TinyGenerator().freeze()
    return to_images(generator(generator.sample_prior(1, torch.Generator().manual_seed(0))))[0]


def files_in(folder):
    return sorted(path.name for path in folder.iterdir())
