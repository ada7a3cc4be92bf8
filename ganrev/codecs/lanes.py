"""Lanes of several pictures: reversed in parts that fit the device, and the best of each picture."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ganrev.codecs.renderer import Renderer
from ganrev.reversal.reversing import ReversalResult, reverse
from ganrev.reversal.settings import Reversal
from ganrev.reversal.trace import Recorder


def reverse_lanes(
    renderer: Renderer, loss: nn.Module, images: Tensor, rngs: Sequence[torch.Generator], settings: Reversal
) -> tuple[ReversalResult, list[Recorder]]:
    """Reverse lanes in parts that fit the device; returns the recorder of each part, too.

    Args:
        renderer: holds the generator and the device.
        loss: what is descended, on the device.
        images: of each lane, uint8 [L, 3, S, S]; restarts of a picture side by side.
        rngs: one random stream per lane.
        settings: of the descent.
    """

    def reverse_part(lanes: list[int]) -> tuple[ReversalResult, Recorder]:
        recorder = Recorder(settings.steps)
        found = reverse(
            renderer.fast_generator,
            loss,
            renderer.targets(images[lanes]),
            [rngs[lane] for lane in lanes],
            settings,
            recorder,
            f"reversing {lanes[0] + 1}-{lanes[-1] + 1} of {len(images)} lanes",
        )
        return found, recorder

    parts, recorders = zip(*renderer.device.in_parts(reverse_part, len(images), settings.restarts), strict=True)
    return ReversalResult.join(parts), list(recorders)


def best_lanes(costs: Tensor, found: ReversalResult, lanes: Tensor) -> Tensor:
    """Return which lane of each picture wins, int64 [N]: the cheapest that has not diverged.

    Where all have, and some are not lost, the cheapest of these: few steps may end above a start that was good.

    Args:
        costs: float32 [N, R], of the lanes that went on to the end.
        found: of all lanes.
        lanes: which of them went on, int64 [N * R].
    """
    diverged, lost = (verdict[lanes].view(costs.shape) for verdict in (found.diverged, found.lost))
    left_out = torch.where(diverged.all(dim=1, keepdim=True), lost, diverged)
    return costs.masked_fill(left_out, math.inf).argmin(dim=1)
