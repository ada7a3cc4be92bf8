"""A reversal under way, seen from outside: what the generator draws, now and then."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ganrev.pixels import to_images, to_x

_SECONDS_BETWEEN = 0.25


@contextmanager
def watched(generator: nn.Module, image: Tensor, show: Callable[[int, Tensor], None]) -> Iterator[None]:
    """Call a function with what a generator draws while something else descends through it.

    Args:
        generator: as the descent calls it.
        image: uint8 [3, S, S], what is aimed at; of several lanes the one nearest to it is shown.
        show: is given the number of calls so far and a picture, uint8 [3, S, S], a few times a second. What it raises
            ends the descent.
    """
    target = to_x(image)[None]
    num_calls, last = 0, 0.0

    def look(module: nn.Module, inputs: tuple[Tensor, ...], drawn: Tensor) -> None:
        nonlocal num_calls, last
        num_calls += 1
        if time.monotonic() - last < _SECONDS_BETWEEN:
            return
        with torch.no_grad():
            x = drawn.detach().float()
            apart = (x - target.to(x.device)).square().mean(dim=(1, 2, 3)).nan_to_num(torch.inf)
            nearest = to_images(x[apart.argmin()]).cpu()
        show(num_calls, nearest)
        last = time.monotonic()

    handle = generator.register_forward_hook(look)
    try:
        yield
    finally:
        handle.remove()
