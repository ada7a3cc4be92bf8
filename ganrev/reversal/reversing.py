"""Reverse a generator: find the latents that redraw given pictures, lane by lane."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

from ganrev.generator.base import Generator
from ganrev.progress import ProgressBar
from ganrev.reversal.descent import Descent, PictureLoss
from ganrev.reversal.halving import num_lanes_after, outranked
from ganrev.reversal.settings import Reversal

OnStep = Callable[[int, Tensor], None]

_WINDOW = 25  # steps over which losses are averaged, to see whether they still fall


@dataclass(frozen=True)
class ReversalResult:
    """What reversal found.

    Attributes:
        z: float32 [L, D], one latent vector per lane.
        losses: float32 [L, num_steps], the loss before each step; NaN once the lane has left.
        diverged: bool [L], lanes that are lost, or whose loss has risen above where it began.
        lost: bool [L], lanes whose loss is no longer finite, or whose latents ran away.
        dropped: bool [L], restarts that left because others of their picture were better.
    """

    z: Tensor
    losses: Tensor
    diverged: Tensor
    lost: Tensor
    dropped: Tensor

    @classmethod
    def join(cls, parts: Sequence["ReversalResult"]) -> "ReversalResult":
        """Concatenate the results of several parts of the lanes."""
        return cls(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(cls)))


def lane_rng(seed: int, image: Tensor, restart: int) -> torch.Generator:
    """Return the random stream of one lane: from the seed, the picture's own pixels and the restart.

    Never from the lane's place in a batch, so that a picture's result does not depend on its neighbours.
    """
    digest = hashlib.sha256(image.cpu().contiguous().numpy().tobytes())
    digest.update(f"{seed}/{restart}".encode())
    return torch.Generator().manual_seed(int.from_bytes(digest.digest()[:8], "little") >> 1)


def clip_latents(z: Tensor, clip: str, rngs: Sequence[torch.Generator]) -> None:
    """Bring the latents of each lane back into [-1, 1], in place.

    Args:
        z: float [L, D].
        clip: `none`, `hard` or `stochastic`.
        rngs: one random stream per lane, for `stochastic`.

    Source: Lipton and Tripathi 2017, section 3; every element is redrawn by itself.
    """
    if clip == "hard":
        z.clamp_(-1, 1)
    elif clip == "stochastic":
        outside = z.abs() > 1
        for lane in torch.nonzero(outside.any(dim=1)).flatten().tolist():
            fresh = torch.rand(z.shape[1], generator=rngs[lane]).to(z) * 2 - 1
            z[lane] = torch.where(outside[lane], fresh, z[lane])


def first_latents(generator: Generator, targets: Tensor, rngs: Sequence[torch.Generator], settings: Reversal) -> Tensor:
    """Return where each lane starts, float32 [L, D] on the targets' device; arguments as for `reverse`."""
    start = torch.cat([generator.sample_prior(1, rng) for rng in rngs]).to(targets.device)
    if settings.init == "linear":
        start[:: settings.restarts] = generator.invert_linear_map(targets[:: settings.restarts])
    return start


def reverse(
    generator: Generator,
    loss: nn.Module,
    targets: Tensor,
    rngs: Sequence[torch.Generator],
    settings: Reversal,
    on_step: OnStep | None = None,
    label: str = "reversing",
) -> ReversalResult:
    """Find a latent for each lane.

    Args:
        generator: frozen, in the precision and on the device to compute with.
        loss: takes x and target [L, 3, H, W] in [-1, 1], returns [L].
        targets: x of each lane, float32 [L, 3, H, W] on the generator's device; restarts of a picture side by side.
        rngs: one random stream per lane (`lane_rng`); the first draw is its initial z.
        settings: the descent.
        on_step: called with the step and z [L, D] before each step, and once more after the last.
        label: of the progress bar.

    Returns:
        Latents, trace and verdict of each lane. A lane whose gradient is not finite stays where it was.

    Source: paper, section 3 ("Models and methods").
    """
    descent = _descent(generator, loss, targets, rngs, settings)
    # Take the steps, dropping lanes on the way.
    bar = ProgressBar(range(settings.steps), desc=label, unit="step", leave=False, mininterval=0.5)
    for step in bar:
        if on_step:
            on_step(step, descent.z)
        if not len(descent.lanes):
            continue
        descent.step(settings.lr_at(step))
        if step % 10 == 0:
            shown = f"{descent.losses[descent.lanes, step].nanmean():.4f}"
            bar.set_postfix(loss=shown, lanes=len(descent.lanes), refresh=False)  # its own count is of the last line
        if _lanes_may_leave(settings, descent.num_done):
            _drop_lanes(descent, settings)
    if on_step:
        on_step(settings.steps, descent.z)
    # Say how each lane ended.
    verdicts = (descent.diverged(generator.prior_std), descent.lost(generator.prior_std), descent.dropped)
    return ReversalResult(descent.z, descent.losses.cpu(), *(verdict.cpu() for verdict in verdicts))


def _descent(
    generator: Generator, loss: nn.Module, targets: Tensor, rngs: Sequence[torch.Generator], settings: Reversal
) -> Descent:
    """Return the descent of all lanes at its start; arguments as for `reverse`."""
    clips = settings.clip != "none" and generator.prior == "uniform"
    return Descent(
        first_latents(generator, targets, rngs, settings),
        PictureLoss(generator, loss, targets),
        settings.make_optimizer,
        settings.steps,
        strides=settings.strides(generator).to(targets.device) if settings.scaled else None,
        confine=(lambda z, lanes: clip_latents(z, settings.clip, [rngs[i] for i in lanes.tolist()])) if clips else None,
    )


def _lanes_may_leave(settings: Reversal, num_done: int) -> bool:
    """Return whether lanes may leave after this number of steps."""
    before, after = (num_lanes_after(settings.rungs, n, settings.restarts) for n in (num_done - 1, num_done))
    return after < before or (settings.plateau is not None and num_done % _WINDOW == 0)


def _drop_lanes(descent: Descent, settings: Reversal) -> None:
    """Take out lanes that are outranked by others of their picture, have diverged or have reached a plateau."""
    num_staying = num_lanes_after(settings.rungs, descent.num_done, settings.restarts)
    descent.drop(outranked(descent.last_losses(), descent.dropped, settings.restarts, num_staying))
    plateaued = _has_plateaued(descent.losses, descent.num_done, settings.plateau)
    descent.keep(descent.alive & ~descent.dropped & ~plateaued)


def _has_plateaued(losses: Tensor, num_done: int, plateau: float | None) -> Tensor:
    """Return in which lanes the loss hardly falls any more, bool [L]; losses [L, num_steps]."""
    if plateau is None or num_done % _WINDOW or num_done < 2 * _WINDOW:
        return torch.zeros(len(losses), dtype=torch.bool, device=losses.device)
    then, now = losses[:, num_done - 2 * _WINDOW : num_done].view(len(losses), 2, _WINDOW).mean(dim=2).unbind(1)
    return now > (1 - plateau) * then
