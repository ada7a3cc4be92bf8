"""Lanes of several pictures: reversed in parts that fit the device, and the best of each picture."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganrev.codecs.renderer import Renderer
from ganrev.reversal.descent import check_converged
from ganrev.reversal.reversing import ReversalResult, lane_rng, reverse
from ganrev.reversal.settings import Reversal
from ganrev.reversal.trace import Recorder


@dataclass(frozen=True)
class ReversedLanes:
    """The lanes of N pictures after their reversal; those that were not dropped, equally many of each, are kept.

    Attributes:
        found: of all lanes.
        recorders: of each part that was reversed at once.
        kept: which lanes were kept, int64 [K].
        images: the picture of each kept lane, uint8 [K, 3, S, S].
        rngs: the random stream of each.
        num_pictures: N.
    """

    found: ReversalResult
    recorders: list[Recorder]
    kept: Tensor
    images: Tensor
    rngs: list[torch.Generator]
    num_pictures: int

    @property
    def z(self) -> Tensor:
        """What each kept lane found, float32 [K, D] on the CPU."""
        return self.found.z[self.kept].cpu()

    def best(self, costs: Tensor) -> Tensor:
        """Return which kept lane of each picture wins, int64 [N]: the cheapest that has not diverged.

        Where all have, and some are not lost, the cheapest of these: few steps may end above a start that was good.

        Args:
            costs: of the kept lanes, float32 [K].
        """
        shape = self.num_pictures, len(self.kept) // self.num_pictures
        diverged, lost = (verdict[self.kept].view(shape) for verdict in (self.found.diverged, self.found.lost))
        left_out = torch.where(diverged.all(dim=1, keepdim=True), lost, diverged)
        first = torch.arange(0, len(self.kept), shape[1])
        return first + costs.view(shape).masked_fill(left_out, math.inf).argmin(dim=1)


def reverse_pictures(
    renderer: Renderer, loss: nn.Module, images: Tensor, seed: int, settings: Reversal
) -> ReversedLanes:
    """Reverse all restarts of pictures; those of one picture lie side by side.

    Args:
        renderer: holds the generator and the device.
        loss: what is descended, on the device.
        images: uint8 [N, 3, S, S].
        seed: of the initial latents.
        settings: of the descent.

    Raises:
        ValueError: all lanes of a picture are lost.
    """
    restarts = settings.restarts
    lane_images = images.repeat_interleave(restarts, dim=0)
    rngs = [lane_rng(seed, image, i % restarts) for i, image in enumerate(lane_images)]
    found, recorders = _reverse_lanes(renderer, loss, lane_images, rngs, settings)
    kept = (~found.dropped).nonzero().flatten()
    check_converged(found.lost[kept].view(len(images), -1), f"reversal.lr={settings.lr:g}")
    return ReversedLanes(found, recorders, kept, lane_images[kept], [rngs[lane] for lane in kept], len(images))


def _reverse_lanes(
    renderer: Renderer, loss: nn.Module, images: Tensor, rngs: Sequence[torch.Generator], settings: Reversal
) -> tuple[ReversalResult, list[Recorder]]:
    """Reverse lanes in parts that fit the device; returns the recorder of each part, too."""

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
