"""Pictures that the generator drew itself (the paper's Figure 2): an exact latent exists for each."""

import hashlib
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ganrev.configuration.options import Count, Whole, checked_options
from ganrev.data.pictures import Pictures
from ganrev.generator.base import DrawnFrom, Generator
from ganrev.pixels import to_images
from ganrev.progress import ProgressBar

Limit = Annotated[Count, Field(description="a whole number of at least 1 (a generator never runs out of pictures)")]


def seen_latent(generator: Generator, seed: int, index: int, prior: DrawnFrom = "cube") -> Tensor:
    """Draw the latent of one seen picture from a prior, float32 [1, latent_dim].

    Each has a stream of its own, so that a picture does not depend on how many are drawn. The seed is hashed
    so that no start of the reversal, drawn from the prior too, is the latent that it searches for.
    """
    digest = hashlib.sha256(f"seen/{seed}/{index}".encode()).digest()
    rng = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
    return generator.sample(1, rng, prior)


class Seen:
    """Outputs of the generator for seeded latents, at its own size.

    Args:
        generator: draws the pictures.
        limit: number of pictures, at least 1.
        seed: draws the latents; not the run's seed.
        prior: `cube`, which the generator was trained with, or `faces`, its density of faces.
        strict: has no effect: every source has it, but no picture can be bad here.
        allow_seen_in_training: has no effect either: pictures that a generator drew are not photographs.

    Raises:
        ValueError: `limit` is out of range, or the generator has no density of faces.
    """

    @checked_options("data.")
    def __init__(
        self,
        generator: Generator,
        limit: Limit = 10,
        seed: Whole = 0,
        prior: DrawnFrom = "cube",
        strict: bool = False,
        allow_seen_in_training: bool = False,
    ) -> None:
        self.generator = generator
        self.limit = limit
        self.seed = seed
        self.prior: DrawnFrom = prior
        self.strict = strict
        self.allow_seen_in_training = allow_seen_in_training

    @torch.no_grad()
    def load(self) -> Pictures:
        """Draw the pictures, one at a time: the arithmetic of a batch may differ with its size."""
        weight = next(self.generator.parameters(), torch.empty(0))
        side = self.generator.image_size
        images = torch.empty(self.limit, 3, side, side, dtype=torch.uint8)
        for index in ProgressBar(range(self.limit), desc="drawing seen pictures", unit="picture", delay=1, leave=False):
            x = self.generator(seen_latent(self.generator, self.seed, index, self.prior).to(weight.device)).float()
            images[index] = to_images(x)[0]
        names = [f"seen_{index:03d}" for index in range(self.limit)]
        return Pictures(images, names, [None] * self.limit, drawn=True)
