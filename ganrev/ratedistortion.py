"""Symbols chosen for the picture that the decoder will draw and for what they cost: minimise D + lambda R.

D is the loss of the drawn picture, R the bytes that the entropy coder's own integer tables give the symbols.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from ganrev import rangecoder
from ganrev.generator.base import Generator

_FIRST_MOVES = 32  # symbols that polishing changes at a time, at first
_BETAS = (0.8, 0.95)  # of Adam: a short descent must forget fast
_LARGEST = 2048  # symbols beyond it are priced like it: no picture needs them


@dataclass(frozen=True)
class Effort:
    """How long to look for symbols.

    Attributes:
        steps: of gradient descent through rounding.
        lr: of that descent, in symbols: whatever the step, rounding is as far away.
        rounds: of the search over the symbols themselves that follows.
    """

    steps: int
    lr: float
    rounds: int


@dataclass(frozen=True)
class Problem:
    """What a batch of lanes is to minimise.

    Attributes:
        generator: frozen, in the precision to compute with.
        loss: takes x and target [L, 3, H, W], returns [L].
        targets: x of each lane [L, 3, H, W].
        steps: of the quantiser, float32 [L, D].
        lmbda: the loss that a byte may cost, float32 [L].
        codes: tells the scale codes [L, D] under which int32 symbols [L, D] would be coded.
    """

    generator: Generator
    loss: nn.Module
    targets: Tensor
    steps: Tensor
    lmbda: Tensor
    codes: Callable[[Tensor], np.ndarray]

    def distortion(self, symbols: Tensor) -> Tensor:
        """Return the loss [L] of symbols [L, D], whole or not; differentiable."""
        return self.loss(self.generator(symbols * self.steps), self.targets)

    def rates(self, symbols: Tensor) -> "Rates":
        """Return the code lengths that hold near symbols int32 [L, D]."""
        largest = min(2 * int(symbols.abs().max()) + 8, _LARGEST)
        return Rates(self.codes(symbols), largest, symbols.device)


class Rates:
    """Code lengths of symbols under the range coder's tables, as tensors.

    Args:
        codes: scale code of each symbol, int [L, D].
        largest: symbols beyond it are charged what it costs.
        device: of the symbols.
    """

    def __init__(self, codes: np.ndarray, largest: int, device: torch.device) -> None:
        kinds, place = np.unique(codes, return_inverse=True)
        table = np.stack([rangecoder.code_lengths(int(code), largest) for code in kinds])
        self.table = torch.from_numpy(table).float().to(device)  # [K, 2 M + 1]
        self.place = torch.from_numpy(place.reshape(codes.shape)).to(device)
        self.largest = largest

    def bits(self, symbols: Tensor) -> Tensor:
        """Return the code length of each whole-numbered symbol [L, D], in bits."""
        index = (symbols.long() + self.largest).clamp(0, 2 * self.largest)
        return self.table[self.place, index]

    def num_bytes(self, symbols: Tensor) -> Tensor:
        """Return the ideal size of each lane's payload [L], in bytes."""
        return self.bits(symbols).sum(dim=1) / 8


def search(problem: Problem, z: Tensor, effort: Effort, rngs: list[torch.Generator]) -> Tensor:
    """Return symbols int32 [L, D] of low D + lambda R, from latents z float32 [L, D] and one random stream a lane."""
    symbols = (z / problem.steps).round().to(torch.int32)
    if effort.steps:
        symbols = descend(problem, z, problem.rates(symbols), effort, rngs).round().to(torch.int32)
    return polish(problem, symbols, effort.rounds)


def descend(problem: Problem, z: Tensor, rates: Rates, effort: Effort, rngs: list[torch.Generator]) -> Tensor:
    """Move latents [L, D] by gradient descent on D + lambda R through stochastic rounding.

    Returns:
        Float32 [L, D], in symbols, not yet rounded.
    """
    v = (z / problem.steps).requires_grad_(True)
    optimizer = torch.optim.Adam([v], lr=effort.lr, betas=_BETAS)
    for step in tqdm(range(effort.steps), desc="weighing bytes", unit="step", leave=False, mininterval=0.5):
        progress = step / effort.steps
        optimizer.param_groups[0]["lr"] = effort.lr * (1 - 0.9 * progress)
        noise = torch.stack([torch.rand(v.shape[1], generator=rng) for rng in rngs]).clamp(1e-6, 1 - 1e-6).to(v)
        floor, up = _rounded_at_random(v, 0.5 * 0.02**progress, noise)
        low, high = rates.bits(floor), rates.bits(floor + 1)
        num_bytes = (low + up * (high - low)).sum(dim=1) / 8
        v.grad = None
        (problem.distortion(floor + up) + problem.lmbda * num_bytes).sum().backward()
        v.grad.nan_to_num_(0, 0, 0)
        optimizer.step()
    return v.detach()


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


def polish(problem: Problem, symbols: Tensor, rounds: int) -> Tensor:
    """Change symbols by one where the gradient promises a lower D + lambda R, and keep what really lowers it.

    Each round, one pass forward and backward, changes the most promising symbols of each lane at once: half as
    many after a failure, twice as many after a success.

    Returns:
        int32 [L, D], no worse than `symbols` in any lane.
    """
    best = _Best(problem, symbols)
    trial = symbols.float()
    for _ in tqdm(range(rounds), desc="polishing", unit="round", leave=False, mininterval=0.5):
        best.judge(trial)
        trial = best.propose()
        if not best.moved.any():
            break
    best.judge(trial)
    return best.symbols.to(torch.int32)


class _Best:
    """The best symbols of each lane so far, and what is known about moving on from them."""

    def __init__(self, problem: Problem, symbols: Tensor) -> None:
        self.problem, self.rates = problem, problem.rates(symbols)
        self.symbols = symbols.float()
        lanes = torch.zeros(len(symbols), device=symbols.device)
        self.cost = lanes + torch.inf
        self.slopes = torch.zeros_like(self.symbols)  # of D by each symbol
        self.curvature = lanes.clone()  # of D by one move, on average
        self.promised, self.moved = lanes.clone(), lanes.clone()  # by the last proposal, and how many moves it made
        self.limit = lanes + 2 * _FIRST_MOVES
        self.failed = torch.zeros(2, *symbols.shape, dtype=torch.bool, device=symbols.device)  # moves down and up

    def judge(self, trial: Tensor) -> None:
        """Draw a trial and keep it in the lanes where it is better."""
        trial = trial.requires_grad_(True)
        distortion = self.problem.distortion(trial)
        (slopes,) = torch.autograd.grad(distortion.sum(), trial)
        trial = trial.detach()
        cost = distortion.detach() + self.problem.lmbda * self.rates.num_bytes(trial)
        # What the proposal promised too much is curvature, shared among its moves.
        missing = (cost - self.cost - self.promised) / self.moved
        usable = missing.isfinite() & (missing > 0)
        self.curvature = torch.where(usable, (self.curvature + missing) / 2, self.curvature)
        better = cost < self.cost
        alone = (trial != self.symbols) & (~better & (self.moved == 1))[:, None]
        self.failed |= torch.stack((alone & (trial < self.symbols), alone & (trial > self.symbols)))
        self.failed &= ~better[:, None]
        self.limit = torch.where(better, self.limit * 2, self.limit / 2).clamp(1, _FIRST_MOVES)
        self.symbols = torch.where(better[:, None], trial, self.symbols)
        self.slopes = torch.where(better[:, None], slopes, self.slopes)
        self.cost = torch.where(better, cost, self.cost)

    def propose(self) -> Tensor:
        """Return symbols with the most promising moves made, as many in each lane as have proved safe."""
        here = self.rates.bits(self.symbols)
        changes = []
        for way, failed in zip((-1, 1), self.failed, strict=True):
            price = self.problem.lmbda[:, None] * (self.rates.bits(self.symbols + way) - here) / 8
            changes.append((way * self.slopes + self.curvature[:, None] + price).masked_fill(failed, torch.inf))
        promise, way = torch.minimum(*changes), torch.where(changes[0] < changes[1], -1.0, 1.0)
        rank = promise.argsort(dim=1).argsort(dim=1)
        chosen = (rank < self.limit.floor()[:, None]) & (promise < 0)
        self.promised, self.moved = promise.masked_fill(~chosen, 0).sum(dim=1), chosen.sum(dim=1)
        return self.symbols + chosen * way
