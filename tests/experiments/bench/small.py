"""A network and clocks whose figures are known by hand."""

import torch
from torch import nn

from experiments.bench import measures
from ganrev.generator.base import Generator

CPU = torch.device("cpu")


class Convolutional(Generator):
    """4 latents, a linear map to 3 x 8 x 8, a convolution: arithmetic that is counted by hand below."""

    latent_dim, image_size = 4, 8

    def __init__(self):
        super().__init__()
        self.linear, self.conv = nn.Linear(4, 192), nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, z):
        return self.conv(self.linear(z).view(-1, 3, 8, 8))


def clock_of(seconds, num_lanes=1, z=0.0):
    """Return a clock that noted these seconds by step, and latents filled with the step."""
    clock = measures.Clock(CPU, seconds)
    for step in seconds:
        clock(step, torch.full((num_lanes, 3), z + step))
    clock.seconds = dict(seconds)
    return clock
