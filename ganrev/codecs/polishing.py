"""Symbols changed one by one, where that lowers D + lambda R, or makes a file smaller at little loss."""

import torch
from torch import Tensor

from ganrev.codecs.prices import Quote
from ganrev.codecs.problem import Problem
from ganrev.progress import ProgressBar

_FIRST_MOVES = 32  # symbols that polishing changes at a time, at first


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
        distortion, slopes = self.problem.slopes(trial)
        quote = self.prices.quote(trial)
        cost = distortion + self.problem.lmbda * quote.num_bytes
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


def cheapest_moves(problem: Problem, symbols: Tensor, curvature: Tensor) -> list[Tensor]:
    """Return for each lane which symbols save bytes where they are one nearer to zero, those first that lose least.

    Args:
        problem: its lambda does not matter.
        symbols: int32 [L, D].
        curvature: what a move adds to the loss beside its slope, float32 [L].

    Returns:
        Indices int64 [M], by loss per byte saved, of each lane.
    """
    _, slopes = problem.slopes(symbols.float())
    prices, values = problem.prices(symbols), symbols.float()
    quote = prices.quote(values)
    saved = torch.where(values > 0, -prices.change(values, -1, quote), -prices.change(values, 1, quote))
    lost = (curvature[:, None] - values.sign() * slopes) / saved.clamp_min(1e-9)
    lost = lost.masked_fill((values == 0) | (saved <= 0), torch.inf)
    if problem.grid is not None:
        _spare_last_of_grid(lost[:, problem.generator.latent_dim :])
    return [row.argsort(stable=True)[: int(row.isfinite().sum())].cpu() for row in lost]


def _spare_last_of_grid(lost: Tensor) -> None:
    """Rule out, in place, the last move of each lane's grid [L, G]: a file of an empty one is drawn as z alone is."""
    last = lost.masked_fill(lost == torch.inf, -torch.inf).argmax(dim=1, keepdim=True)
    lost.scatter_(1, last, torch.inf)
