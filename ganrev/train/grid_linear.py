"""The grid's first stage: atoms, proposal and prior alone, on what z leaves of some faces; no convolutions in the loop.

A transform takes long to learn from nothing inside a network. The principal components of small blocks of what z
leaves are nearly there from the first step, and some hundred steps on pictures that are drawn once cost a minute.
"""

import math
from dataclasses import dataclass

import torch
from omegaconf import DictConfig
from torch import Tensor

from ganrev.generator.grid import LappedGrid
from ganrev.generator.grid_prior import laplace_bits
from ganrev.progress import ProgressBar
from ganrev.reversal.losses import MSE
from ganrev.train.grid_search import LevelledLatents, PricedFaces, priced_faces

_BATCH_SIZE = 16
_NUM_FIRST = 600  # faces whose blocks give the first atoms
_MSE_WEIGHT = 20.0  # over a loss of curvature 1: less than MSE's own 22, since the network will draw a part of it
_WARM_UP = 30  # steps
_LR_ATOMS, _LR_PROPOSAL, _LR_PLACES, _LR_PRIOR = 2e-3, 1e-3, 3e-2, 3e-3


@dataclass(frozen=True)
class Residuals:
    """What z leaves of N faces.

    Attributes:
        faces: of which `x` holds what z leaves.
        z: symbols, [N, 512].
    """

    faces: PricedFaces
    z: Tensor

    def part(self, chosen: Tensor) -> "Residuals":
        """Return those with the given indices [M], in float32."""
        of = self.faces
        return Residuals(PricedFaces(of.x[chosen].float(), of.lmbda[chosen], of.step[chosen]), self.z[chosen])


@torch.no_grad()
def draw_residuals(cfg: DictConfig, latents: LevelledLatents, images: Tensor) -> Residuals:
    """Return what rounded z's leave of `cfg.grid.linear_faces` of the faces, or of all where there are fewer.

    Args:
        cfg: the training's options.
        latents: of a network whose grid is fresh: its layers still draw what z draws alone.
        images: uint8 [M, 3, 128, 128].
    """
    size = min(_BATCH_SIZE, len(images))
    num_batches = math.ceil(min(cfg.grid.linear_faces, len(images)) / size)
    rows = []
    for number in ProgressBar(range(num_batches), desc="drawing z", unit="batch"):
        faces = priced_faces(cfg, images, number, size).to(latents.device)
        z = latents.rounded_z(faces)
        with torch.autocast(latents.device.type, dtype=torch.bfloat16):
            left = faces.x - latents.network(z * latents.units(faces)[:, : z.shape[1]])
        rows.append((left.half(), faces.lmbda, faces.step, z))
    left, lmbda, step, z = (torch.cat(column) for column in zip(*rows, strict=True))
    return Residuals(PricedFaces(left, lmbda, step), z)


def linear_costs(latents: LevelledLatents, part: Residuals, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return the MSE of what the atoms draw against what z leaves, and the grid's bytes, [N] each.

    Proposals are rounded where they are drawn, and carry uniform noise in its stead where they are priced.
    """
    faces, grid = part.faces, latents.grid
    proposed = latents.propose_grid(faces, torch.zeros_like(faces.x))
    whole = proposed + (proposed.round() - proposed).detach()
    noise = torch.rand(proposed.shape, generator=rng).to(proposed) - 0.5
    widths = latents.log2_deviations(torch.cat((part.z, whole), dim=1), faces)[:, part.z.shape[1] :]
    units = latents.units(faces)[:, part.z.shape[1] :]
    drawn = grid.draw((whole * units).unflatten(1, grid.shape))
    return MSE()(drawn, faces.x), laplace_bits(proposed + noise, widths).sum(dim=1) / 8


def train_linear(cfg: DictConfig, latents: LevelledLatents, images: Tensor) -> None:
    """Train atoms, proposal and prior of a fresh grid in `cfg.grid.linear_steps` steps; arguments as above."""
    data = draw_residuals(cfg, latents, images)
    latents.grid.start_from_residuals(data.faces.x[:_NUM_FIRST].float(), cfg.seed)
    optimizer = _optimizer(latents.grid)
    rates = [group["lr"] for group in optimizer.param_groups]
    rng = torch.Generator().manual_seed(cfg.seed)
    num_steps = cfg.grid.linear_steps
    for step in ProgressBar(range(num_steps), desc="the grid alone", unit="step"):
        factor = min(1.0, (step + 1) / _WARM_UP) * (0.02 + 0.49 * (1 + math.cos(math.pi * step / num_steps)))
        for group, lr in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = lr * factor
        part = data.part(torch.randint(len(data.z), (_BATCH_SIZE,), generator=rng))
        mse, num_bytes = linear_costs(latents, part, rng)
        optimizer.zero_grad(set_to_none=True)
        (_MSE_WEIGHT * mse + part.faces.lmbda * num_bytes).mean().backward()
        optimizer.step()


def _optimizer(grid: LappedGrid) -> torch.optim.Adam:
    corrections = [*grid.proposal.one.parameters(), *grid.proposal.two.parameters()]
    prior = [parameter for name, parameter in grid.prior.named_parameters() if name != "place"]
    return torch.optim.Adam(
        [
            {"params": [grid.atoms, grid.proposal.analysis], "lr": _LR_ATOMS},
            {"params": corrections, "lr": _LR_PROPOSAL},
            {"params": [grid.prior.place], "lr": _LR_PLACES},
            {"params": prior, "lr": _LR_PRIOR},
        ]
    )
