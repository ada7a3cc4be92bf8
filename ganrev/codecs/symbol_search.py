"""Symbols chosen for the picture that the decoder will draw and for what they cost: minimise D + lambda R.

D is the loss of the drawn picture, R the bytes that the entropy coder's own integer tables give the symbols.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from ganrev.codecs.prices import FixedPrices, GridPrices, Prices, Quote
from ganrev.codecs.renderer import Renderer
from ganrev.coding.latent_coder import CodeLengths, LatentCoder
from ganrev.coding.quantiser import Effort
from ganrev.generator.base import Generator
from ganrev.pixels import to_x
from ganrev.progress import ProgressBar
from ganrev.reversal.descent import Descent

_FIRST_MOVES = 32  # symbols that polishing changes at a time, at first
_BETAS = (0.8, 0.95)  # of Adam: a short descent needs averages over few steps
_LARGEST_PRICED = 2048  # symbols beyond it are priced like it: no picture needs them
_BATCH_SIZE = 16  # pictures compared at a time


class SymbolSearch:
    """Searches for symbols of a generator's latents of low D + lambda R.

    Args:
        renderer: draws the pictures.
        loss: D; takes x and target [L, 3, S, S], returns [L], and lives on the renderer's device.
        coder: gives the code lengths of symbols.

    Attributes:
        curvature: of the loss, relative to SSIM's (`ganrev.reversal.losses`).
    """

    def __init__(self, renderer: Renderer, loss: nn.Module, coder: LatentCoder) -> None:
        self.renderer, self.loss, self.coder = renderer, loss, coder
        self.curvature = float(getattr(loss, "curvature", 1.0))

    def with_grid(self, z: Tensor, images: Tensor, step_sizes: Tensor) -> Tensor:
        """Return all latents that files hold, float32 [L, D] on the CPU: z, and a grid proposed from what z leaves.

        Args:
            z: float32 [L, latent_dim].
            images: uint8 [L, 3, S, S].
            step_sizes: float32 [L], as each lane's file will store it.
        """
        if self.coder.levels == "z":
            return z
        return torch.cat(
            self.renderer.device.in_parts(
                lambda lanes: self._propose(z[lanes], images[lanes], step_sizes[lanes]), len(z)
            )
        )

    @torch.no_grad()
    def _propose(self, z: Tensor, images: Tensor, step_sizes: Tensor) -> Tensor:
        generator, device = self.renderer.fast_generator, self.renderer.device.torch_device
        grid = generator.grid
        if grid is None:
            return z
        empty = torch.zeros(len(z), grid.num_latents, device=device)
        x = self.renderer.targets(images)
        residual = x - generator(torch.cat((z.to(device), empty), dim=1))
        exact = self.renderer.generator.grid
        log2_step = (exact or grid).log2_step(step_sizes.to(device))
        return torch.cat((z, grid.propose(residual, log2_step).cpu()), dim=1)

    def search_symbols(
        self,
        z: Tensor,
        images: Tensor,
        rngs: Sequence[torch.Generator],
        step_sizes: Tensor,
        lmbda: Tensor,
        effort: Effort,
    ) -> tuple[Tensor, Tensor]:
        """Search for symbols of low D + lambda R from latents that were found before; all tensors on the CPU.

        Args:
            z: float32 [L, D], of all levels that files hold.
            images: uint8 [L, 3, S, S].
            rngs: one random stream per lane.
            step_sizes: float32 [L], as each lane's file will store it.
            lmbda: float32 [L], the loss that a byte may cost.
            effort: how long to search.

        Returns:
            Symbols int32 [L, D], and the latents [L, D] that the descent came to before they were rounded and polished.
        """
        device = self.renderer.device

        def search_part(lanes: list[int]) -> tuple[Tensor, Tensor]:
            sizes = step_sizes[lanes]
            problem = Problem(
                self.renderer.fast_generator,
                self.loss,
                self.renderer.targets(images[lanes]),
                torch.as_tensor(self.coder.step_sizes(sizes, True)).to(device.torch_device),
                lmbda[lanes].to(device.torch_device),
                partial(self.coder.z_codes, step_sizes=sizes),
                (self.renderer.generator, sizes.to(device.torch_device)) if self.coder.levels == "all" else None,
            )
            found = search(problem, z[lanes].to(device.torch_device), effort, [rngs[lane] for lane in lanes])
            return found[0].cpu(), found[1].cpu()

        symbols, latents = zip(*device.in_parts(search_part, len(images)), strict=True)
        return torch.cat(symbols), torch.cat(latents)

    @torch.no_grad()
    def distortions(self, z: Tensor, images: Tensor, judge: nn.Module | None = None) -> Tensor:
        """Return the loss of each picture that the decoder will draw from latents [L, D], float32 [L] on the CPU.

        It is infinite where the latents give no finite picture; by another loss where there is a judge.
        """
        drawn = self.renderer.draw(z)
        pairs = zip(to_x(drawn).split(_BATCH_SIZE), to_x(images).split(_BATCH_SIZE), strict=True)
        losses = [(judge or self.loss)(*(x.to(self.renderer.device.torch_device) for x in pair)) for pair in pairs]
        return torch.cat(losses).nan_to_num(float("inf")).cpu()


@dataclass(frozen=True)
class Problem:
    """What a batch of lanes is to minimise.

    Attributes:
        generator: frozen, in the precision to compute with.
        loss: takes x and target [L, 3, H, W], returns [L].
        targets: x of each lane [L, 3, H, W].
        step_sizes: of the quantiser in units of z, float32 [L, D].
        lmbda: the loss that a byte may cost, float32 [L].
        codes: returns the scale codes [L, D] under which int32 symbols [L, D] of z would be coded.
        grid: where latents go on beyond z, the generator in float32 and each lane's step size as files store it [L].
    """

    generator: Generator
    loss: nn.Module
    targets: Tensor
    step_sizes: Tensor
    lmbda: Tensor
    codes: Callable[[Tensor], np.ndarray]
    grid: tuple[Generator, Tensor] | None = None

    def distortion(self, symbols: Tensor) -> Tensor:
        """Return the loss [L] of symbols [L, D], whole or not; differentiable."""
        return self.loss(self.generator(symbols * self.step_sizes), self.targets)

    def lengths(self, symbols: Tensor) -> CodeLengths:
        """Return the code lengths that hold near symbols int32 [L, D]."""
        largest = min(2 * int(symbols.abs().max()) + 8, _LARGEST_PRICED)
        return CodeLengths(self.codes(symbols), largest, symbols.device)

    def prices(self, symbols: Tensor) -> Prices:
        """Return the prices that hold near symbols int32 [L, D]."""
        if self.grid is None:
            return FixedPrices(self.lengths(symbols))
        generator, step_sizes = self.grid
        return GridPrices(generator, step_sizes, torch.from_numpy(self.codes(symbols[:, : generator.latent_dim])))


def search(problem: Problem, z: Tensor, effort: Effort, rngs: Sequence[torch.Generator]) -> tuple[Tensor, Tensor]:
    """Search for symbols of low D + lambda R, from latents z float32 [L, D] and one random stream per lane.

    Returns:
        Symbols int32 [L, D], and the latents [L, D] that the descent came to.
    """
    positions = z / problem.step_sizes
    if effort.num_steps:
        positions = descend(problem, z, problem.prices(positions.round().to(torch.int32)), effort, rngs)
    symbols = polish(problem, positions.round().to(torch.int32), effort.num_rounds)
    return symbols, positions * problem.step_sizes


def descend(problem: Problem, z: Tensor, prices: Prices, effort: Effort, rngs: Sequence[torch.Generator]) -> Tensor:
    """Move latents [L, D] by gradient descent on D + lambda R through stochastic rounding.

    Returns:
        Float32 [L, D], in symbols, not yet rounded.
    """
    descent = Descent(
        z / problem.step_sizes,
        _RoundingLoss(problem, prices, rngs, effort.num_steps),
        lambda v: torch.optim.Adam([v], lr=effort.lr, betas=_BETAS),
        effort.num_steps,
    )
    for step in ProgressBar(
        range(effort.num_steps), desc="searching for symbols", unit="step", leave=False, mininterval=0.5
    ):
        descent.step(effort.lr * (1 - 0.9 * (step / effort.num_steps)))
    return descent.z


class _RoundingLoss:
    """D + lambda R of stochastically rounded symbols: the objective of a `Descent` whose z is in units of symbols."""

    def __init__(self, problem: Problem, prices: Prices, rngs: Sequence[torch.Generator], num_steps: int) -> None:
        self.problem, self.prices, self.rngs, self.num_steps = problem, prices, rngs, num_steps

    def losses(self, z: Tensor, step: int) -> Tensor:
        """Return the loss of each lane, [L]; rounding hardens as the steps go on."""
        noise = torch.stack([torch.rand(z.shape[1], generator=rng) for rng in self.rngs]).clamp(1e-6, 1 - 1e-6).to(z)
        floor, up = _rounded_at_random(z, 0.5 * 0.02 ** (step / self.num_steps), noise)
        num_bytes = self.prices.soft_bits(floor, up) / 8
        return self.problem.distortion(floor + up) + self.problem.lmbda * num_bytes

    def keep(self, kept: Tensor) -> None:
        """Never called: no lane leaves this descent, since `polish` takes them all."""
        raise NotImplementedError("no lane leaves a search for symbols before its end")


def _rounded_at_random(v: Tensor, temperature: float, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Return floor(v) and the soft choice in (0, 1) of going one up, differentiable in v.

    Source: Yang, Bamler and Mandt 2020, "Improving inference for neural image compression" (stochastic Gumbel
    annealing); the difference of two Gumbel variables is logistic, so one uniform `noise` serves both.
    """
    floor = v.detach().floor()
    above = (v - floor).clamp(1e-4, 1 - 1e-4)
    logits = (torch.atanh(above) - torch.atanh(1 - above)) / temperature
    logistic = torch.log(noise) - torch.log1p(-noise)
    return floor, torch.sigmoid((logits + logistic) / max(temperature, 0.05))


def polish(problem: Problem, symbols: Tensor, num_rounds: int) -> Tensor:
    """Change symbols by one where the gradient predicts a lower D + lambda R, and keep the changes that do lower it.

    Each round, one pass forward and backward, makes the most promising changes of each lane at once: half as
    many after a failure, twice as many after a success.

    Returns:
        int32 [L, D], no worse than `symbols` in any lane.
    """
    best = _BestSymbols(problem, symbols)
    trial = symbols.float()
    for _ in ProgressBar(range(num_rounds), desc="polishing", unit="round", leave=False, mininterval=0.5):
        best.consider(trial)
        trial = best.next_trial()
        if not best.num_moved.any():
            break
    best.consider(trial)
    return best.symbols.to(torch.int32)


class _BestSymbols:
    """The best symbols of each lane so far, and what is known about the changes that could be tried next."""

    def __init__(self, problem: Problem, symbols: Tensor) -> None:
        self.problem, self.prices = problem, problem.prices(symbols)
        self.symbols = symbols.float()
        self.quote: Quote | None = None
        lanes = torch.zeros(len(symbols), device=symbols.device)
        self.cost = lanes + torch.inf
        self.slopes = torch.zeros_like(self.symbols)  # of D by each symbol
        self.curvature = lanes.clone()  # of D by one move, on average
        self.promised, self.num_moved = lanes.clone(), lanes.clone()  # by the last trial, and the number of its moves
        self.limit = lanes + 2 * _FIRST_MOVES
        self.failed = torch.zeros(2, *symbols.shape, dtype=torch.bool, device=symbols.device)  # moves down and up

    def consider(self, trial: Tensor) -> None:
        """Draw the pictures of a trial, and keep it in the lanes where it is better."""
        trial = trial.requires_grad_(True)
        distortion = self.problem.distortion(trial)
        (slopes,) = torch.autograd.grad(distortion.sum(), trial)
        trial = trial.detach()
        quote = self.prices.quote(trial)
        cost = distortion.detach() + self.problem.lmbda * quote.num_bytes
        # The excess of the cost over the prediction is curvature, shared equally among the moves.
        missing = (cost - self.cost - self.promised) / self.num_moved
        usable = missing.isfinite() & (missing > 0)
        self.curvature = torch.where(usable, (self.curvature + missing) / 2, self.curvature)
        better = cost < self.cost
        # A single move that made things worse is not tried again from these symbols.
        alone = (trial != self.symbols) & (~better & (self.num_moved == 1))[:, None]
        self.failed |= torch.stack((alone & (trial < self.symbols), alone & (trial > self.symbols)))
        self.failed &= ~better[:, None]
        self.limit = torch.where(better, self.limit * 2, self.limit / 2).clamp(1, _FIRST_MOVES)
        self.symbols = torch.where(better[:, None], trial, self.symbols)
        self.slopes = torch.where(better[:, None], slopes, self.slopes)
        self.cost = torch.where(better, cost, self.cost)
        self.quote = quote if self.quote is None else self.quote.replaced(better, quote)

    def next_trial(self) -> Tensor:
        """Return symbols with the most promising moves made, as many in each lane as its limit allows."""
        if self.quote is None:
            raise ValueError("symbols must be considered before others can be tried")
        changes = []
        for sign, failed in zip((-1, 1), self.failed, strict=True):
            price = self.problem.lmbda[:, None] * self.prices.change(self.symbols, sign, self.quote) / 8
            changes.append((sign * self.slopes + self.curvature[:, None] + price).masked_fill(failed, torch.inf))
        promise, way = torch.minimum(*changes), torch.where(changes[0] < changes[1], -1.0, 1.0)
        rank = promise.argsort(dim=1).argsort(dim=1)
        chosen = (rank < self.limit.floor()[:, None]) & (promise < 0)
        self.promised, self.num_moved = promise.masked_fill(~chosen, 0).sum(dim=1), chosen.sum(dim=1)
        return self.symbols + chosen * way
