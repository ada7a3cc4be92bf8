"""The grid's second stage: the layers that draw with a grid, what tells them of it, its prior and its proposal.

The layers that draw z alone are frozen: files of z alone stay what they are.
"""

import copy
import math
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from ganrev.generator.embedded import EmbeddedNetwork
from ganrev.generator.grid import LappedGrid
from ganrev.generator.grid_prior import laplace_bits
from ganrev.train.grid_search import GridSearch, InHand, LevelledLatents, MixedLoss, grid_of, priced_faces

_WARM_UP = 40  # steps
_LEAST_RATE = 0.02  # of the first, at the end
_PROPOSALS_MSE = 30.0  # beside an SSIM weight of 1, in steps on proposals


class GridTraining:
    """The state of one training of a grid: network, optimiser, faces in hand and the step reached.

    Args:
        cfg: the training's options.
        network: with a grid after its first stage (`ganrev.train.grid_linear`) and the statistics of z's latents.
        images: the training faces, uint8 [M, 3, 128, 128].
    """

    def __init__(self, cfg: DictConfig, network: EmbeddedNetwork, images: Tensor) -> None:
        self.cfg, self.images, own = cfg, images, cfg.grid
        self.network = network.requires_grad_(False)
        self.grid = grid_of(network).requires_grad_(True)
        self.average = copy.deepcopy(self.grid).requires_grad_(False)
        self.latents = LevelledLatents(network)
        self.device = self.latents.device
        self.search = GridSearch(self.latents, own.first_passes + own.visits * own.passes, own.lr_search)
        self.losses = [MixedLoss(1, 0), MixedLoss(own.mse_weight, 1), MixedLoss(0, 1)]
        self.proposals_loss = MixedLoss(_PROPOSALS_MSE, 1)
        for loss in (*self.losses, self.proposals_loss):
            loss.to(self.device)
        self.optimizer = torch.optim.AdamW(_groups(own, self.grid), betas=(0.9, 0.99), weight_decay=1e-4)
        self._rates = [group["lr"] for group in self.optimizer.param_groups]
        self.in_hand: list[InHand | None] = [None] * own.slots
        self.num_batches = self.num_visits = 0  # batches that were taken of the faces; visits to some in hand
        self.step = 0
        self.seconds = 0.0

    def state(self) -> dict[str, Any]:
        """Return all that a resumed run needs, for `load`."""
        return {
            "grid": self.grid.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "in_hand": [None if held is None else held.state() for held in self.in_hand],
            "num_batches": self.num_batches,
            "num_visits": self.num_visits,
            "step": self.step,
            "seconds": self.seconds,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from what `state` returned."""
        for name in ("grid", "average", "optimizer"):
            getattr(self, name).load_state_dict(state[name])
        for name in ("num_batches", "num_visits", "step", "seconds"):
            setattr(self, name, state[name])
        for place, kept in enumerate(state["in_hand"]):
            if kept is not None:
                number = kept["number"]
                faces = priced_faces(self.cfg, self.images, number, self.cfg.grid.batch_size).to(self.device)
                held = InHand(number, faces, self._loss_of(number), kept["symbols"].to(self.device), kept["passes"])
                held.optimizer.load_state_dict(kept["adam"])
                self.in_hand[place] = held

    def advance(self) -> dict[str, float]:
        """Take one step; returns its terms: the distortion, and the grid's bytes."""
        if self.step % self.cfg.grid.proposals_every == 0:
            cost, terms = self._costs_of_proposals()
        else:
            cost, terms = self._costs_of_found()
        factor = min(1.0, (self.step + 1) / _WARM_UP)
        factor *= max(_LEAST_RATE, 0.5 * (1 + math.cos(math.pi * self.step / self.cfg.grid.steps)))
        for group, lr in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = lr * factor
        self.optimizer.zero_grad(set_to_none=True)
        cost.mean().backward()
        drawing = [parameter for group in self.optimizer.param_groups[:3] for parameter in group["params"]]
        nn.utils.clip_grad_norm_(drawing, self.cfg.grid.clip)
        self.optimizer.step()
        with torch.no_grad():
            decay = min(self.cfg.grid.ema, (self.step + 1) / (self.step + 10))
            torch._foreach_lerp_(list(self.average.parameters()), list(self.grid.parameters()), 1 - decay)
        self.step += 1
        return {name: float(values.detach().mean()) for name, values in terms.items()}

    def _loss_of(self, number: int) -> MixedLoss:
        """Return what a batch of faces is searched by: MSE, both, and SSIM in turn."""
        return self.losses[number % len(self.losses)]

    def _costs_of_proposals(self) -> tuple[Tensor, dict[str, Tensor]]:
        """Return D + lambda R of rounded proposals for new faces, [N]: alone these teach the proposal; and terms."""
        number, latents = self._next_number(), self.latents
        faces = priced_faces(self.cfg, self.images, number, self.cfg.grid.batch_size).to(self.device)
        symbols = latents.rounded_z(faces)
        units, size = latents.units(faces), symbols.shape[1]
        with torch.no_grad(), torch.autocast(self.device.type, dtype=torch.bfloat16):
            alone = self.network(latents.with_empty_grid(symbols * units[:, :size]))
        proposed = latents.propose_grid(faces, alone)
        whole = torch.cat((symbols, proposed + (proposed.round() - proposed).detach()), dim=1)
        noise = torch.rand(proposed.shape, generator=self._rng()).to(proposed) - 0.5
        widths = latents.log2_deviations(whole, faces)[:, size:]
        num_bytes = laplace_bits(proposed + noise, widths).sum(dim=1) / 8
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            drawn = self.network(whole * units)
        distortion = self.proposals_loss(drawn, faces.x)
        return distortion + faces.lmbda * num_bytes, {"proposed": distortion, "grid_bytes": num_bytes}

    def _costs_of_found(self) -> tuple[Tensor, dict[str, Tensor]]:
        """Search on for the symbols of the faces whose turn it is; returns D + lambda R of them, [N], and terms."""
        held = self._visit()
        faces, latents = held.faces, self.latents
        symbols = held.symbols.detach().round()
        widths = latents.log2_deviations(symbols, faces)
        bits = laplace_bits(symbols, widths)
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            drawn = self.network(symbols * latents.units(faces))
        distortion = held.loss(drawn, faces.x)
        cost = distortion + faces.lmbda * bits.sum(dim=1) / 8
        return cost, {"found": distortion, "grid_bytes": bits[:, self.network.latent_dim :].sum(dim=1) / 8}

    def _visit(self) -> InHand:
        """Return the faces whose turn it is, searched a little further, or new ones where theirs is over.

        The searches begin at different times, so that at each there are faces of every stage in hand.
        """
        own = self.cfg.grid
        self.search.follow()
        circuit, place = divmod(self.num_visits, own.slots)
        self.num_visits += 1
        held, rng = self.in_hand[place], self._rng()
        if held is None or (circuit + place) % own.visits == 0:
            number = self._next_number()
            faces = priced_faces(self.cfg, self.images, number, own.batch_size).to(self.device)
            held = self.in_hand[place] = self.search.begin(number, faces, self._loss_of(number), own.settle_steps)
            self.search.move(held, own.first_passes, rng)
        self.search.move(held, own.passes, rng)
        return held

    def _next_number(self) -> int:
        """Return the number of the next batch of faces."""
        self.num_batches += 1
        return self.num_batches - 1

    def _rng(self) -> torch.Generator:
        """Return this step's random stream, the same after a resume as without one."""
        return torch.Generator().manual_seed(self.cfg.seed * 15_485_863 + self.step)


def _groups(own: DictConfig, grid: LappedGrid) -> list[dict[str, Any]]:
    """Return the optimiser's groups of parameters with their rates; the first three draw and propose."""
    linear = {"atoms": grid.atoms, "proposal.analysis": grid.proposal.analysis}
    named = {name: p for name, p in grid.named_parameters() if name not in linear}
    late = [p for name, p in named.items() if name.startswith("late.")]
    prior = [p for name, p in named.items() if name.startswith("prior.") and name != "prior.place"]
    others = [p for name, p in named.items() if not name.startswith(("late.", "prior."))]
    groups = ((late, own.lr_late), (others, own.lr), (list(linear.values()), own.lr_atoms))
    priors = (([grid.prior.place], own.lr_places), (prior, own.lr_prior))
    return [{"params": parameters, "lr": lr} for parameters, lr in groups + priors]
