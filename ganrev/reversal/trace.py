"""What a reversal leaves for figures and summaries: losses, verdicts and latents under way."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganrev.reversal.reversing import ReversalResult

NUM_SNAPSHOTS = 13


@dataclass(frozen=True)
class Trace:
    """What one call of `encode` leaves for figures and summaries.

    Attributes:
        losses: float32 [N, R, num_steps], the loss before each step of each restart; NaN once it has left.
        diverged: bool [N, R].
        chosen: int64 [N], the restart that was kept.
        snapshot_steps: int64 [S], steps of the snapshots; the last is after the last step.
        snapshots: float32 [N, R, S, D], latents at those steps.
    """

    losses: Tensor
    diverged: Tensor
    chosen: Tensor
    snapshot_steps: Tensor
    snapshots: Tensor

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the fields as arrays on the CPU, by name."""
        return {name: tensor.numpy() for name, tensor in vars(self).items()}


class Recorder:
    """Keeps the latents of a part of the lanes at a few steps, evenly spaced in the logarithm.

    Attributes:
        steps: at which it keeps them.
        latents: float32 [L, D] on the CPU, of each of those.
    """

    def __init__(self, num_steps: int) -> None:
        spaced = np.geomspace(1, num_steps, NUM_SNAPSHOTS - 1).round().astype(int)
        self.steps = sorted({0, *spaced.tolist()})
        self.latents: list[Tensor] = []

    def __call__(self, step: int, z: Tensor) -> None:
        if step in self.steps:
            self.latents.append(z.detach().to("cpu", copy=True))


def make_trace(found: ReversalResult, recorders: Sequence[Recorder], chosen: Tensor, num_restarts: int) -> Trace:
    """Return the trace of all lanes [N * R], of which each part had a recorder; chosen int64 [N]."""
    snapshots = torch.cat([torch.stack(recorder.latents, dim=1) for recorder in recorders])
    return Trace(
        losses=found.losses.unflatten(0, (-1, num_restarts)),
        diverged=found.diverged.unflatten(0, (-1, num_restarts)),
        chosen=chosen.cpu(),
        snapshot_steps=torch.tensor(recorders[0].steps),
        snapshots=snapshots.unflatten(0, (-1, num_restarts)),
    )
