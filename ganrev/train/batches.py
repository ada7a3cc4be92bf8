"""Training faces in batches, and sharpened."""

import torch
import torch.nn.functional as F
from torch import Tensor


def batch_at(
    num_faces: int, batch_size: int, step: int, seed: int, option: str = "train.batch_size"
) -> tuple[Tensor, Tensor]:
    """Return the indices and the flips of one step's batch, the same after a resume as without one.

    Raises:
        ValueError: there are fewer faces than a batch has.
    """
    per_epoch = num_faces // batch_size
    if not per_epoch:
        raise ValueError(f"{option}={batch_size} needs at least that many faces, got {num_faces}")
    epoch, place = divmod(step, per_epoch)
    rng = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    order = torch.randperm(num_faces, generator=rng)
    flips = torch.rand(num_faces, generator=rng) < 0.5
    chosen = order[place * batch_size : (place + 1) * batch_size]
    return chosen, flips[chosen]


def deblur(x: Tensor, strength: Tensor) -> Tensor:
    """Undo some of the blur that warping faces onto a frame leaves.

    The detail that is strengthened is what two [1 2 1] blurs, one after the other, take away: the finest. At a strength
    of 0.85 the spectrum of the warped shards becomes that of CelebA's own aligned pictures.

    Args:
        x: float [N, 3, H, W] in [-1, 1].
        strength: of each picture, float [N]; 0 leaves it as it is.

    Returns:
        Float [N, 3, H, W] in [-1, 1].
    """
    detail = x - _binomial_blur(x)
    detail = detail - _binomial_blur(detail)
    return (x + strength.view(-1, 1, 1, 1) * detail).clamp(-1, 1)


def _binomial_blur(x: Tensor) -> Tensor:
    for dim in (-1, -2):
        pad = (1, 1, 0, 0) if dim == -1 else (0, 0, 1, 1)
        wide = F.pad(x, pad, mode="replicate")
        size = x.shape[dim]
        x = (wide.narrow(dim, 0, size) + 2 * wide.narrow(dim, 1, size) + wide.narrow(dim, 2, size)) / 4
    return x
