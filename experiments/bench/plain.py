"""The plain loop of public re-implementations of GAN reversal, to measure ours against.

One picture at a time, float32, Adam at a constant rate on z. The weights keep `requires_grad`, so each backward pass
computes their gradients too, which are never cleared. Some public code does freeze them (yxlao/reverse-gan.pytorch),
other code that grew out of it does not (adrianalbert/BEGAN-pytorch, latent_space.py): `frozen` is the difference.

The network is ours, and so is its forward pass. On a CPU that helps the plain loop by keeping tensors channels_last
inside, and hinders it by eight rows in each linear map where one would do, 4 % of its arithmetic.
"""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ganrev.generator.base import Generator

PLAIN_LR = 0.1  # of 0.03, 0.06 and 0.1 the best over 300 steps of the embedded generator, on 16 validation faces


def plain_generator(generator: Generator, frozen: bool = False) -> Generator:
    """Return a float32 copy of a generator whose weights take gradients, unless `frozen`."""
    return copy.deepcopy(generator).float().requires_grad_(not frozen)


def plain_reverse(
    generator: Generator,
    loss: nn.Module,
    target: Tensor,
    rng: torch.Generator,
    lr: float,
    num_steps: int,
    on_step: Callable[[int, Tensor], None],
) -> Tensor:
    """Find a latent for one picture; returns z, float32 [1, D].

    Args:
        generator: of `plain_generator`.
        loss: takes x and target [1, 3, S, S] in [-1, 1], returns [1].
        target: x, float32 [1, 3, S, S] on the generator's device.
        rng: its first draw from the prior is the initial z.
        lr: Adam's rate.
        num_steps: of gradient descent.
        on_step: called with the step and z before each step, and once more after the last.
    """
    z = generator.sample_prior(1, rng).to(target.device).requires_grad_(True)
    optimizer = torch.optim.Adam([z], lr=lr)
    for step in range(num_steps):
        on_step(step, z.detach())
        optimizer.zero_grad()
        loss(generator(z), target).sum().backward()
        optimizer.step()
    on_step(num_steps, z.detach())
    return z.detach()
