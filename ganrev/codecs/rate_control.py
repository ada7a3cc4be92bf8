"""Files of a given size, or of a given quality: change lambda until they have it."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ganrev.codecs.symbol_search import SymbolSearch
from ganrev.codecs.target import LAMBDAS, NEAR, Target
from ganrev.coding.quantiser import Effort, dequantise
from ganrev.reversal.reversing import lane_rng

_HIT = (
    0.98  # a target is hit where a file has at least this share of the size, or of the distortion, and no more than all
)
# Files of B bytes were found on validation faces at lambda near 1e-4 (230 / B)^4 times the loss's curvature with z
# alone, and near 5e-4 (270 / B)^1.6 with a grid.
_Z_LAMBDA, _Z_BYTES, _Z_POWER = 1e-4, 230, 4.0
_GRID_LAMBDA, _GRID_BYTES, _GRID_POWER = 5e-4, 270, 1.6
_SEARCH = Effort(num_steps=60, lr=0.04, num_rounds=10)
_AGAIN = Effort(num_steps=30, lr=0.05, num_rounds=8)


@dataclass(frozen=True)
class RateBudget:
    """How often, and how long, rate control searches for symbols.

    Attributes:
        search: from the latents.
        again: from where the last search came to.
        num_searches: at most, of each picture.
    """

    search: Effort = _SEARCH
    again: Effort = _AGAIN
    num_searches: int = 4


Z_BUDGET = RateBudget()
GRID_BUDGET = RateBudget(search=Effort(num_steps=105, lr=0.05, num_rounds=10))


@dataclass(frozen=True)
class Found:
    """Symbols of one picture, and the file that they make.

    Attributes:
        lmbda: that the search for them ended with.
        step_size: of the quantiser.
        symbols: int32 [D].
        blob: the file.
        loss: of the picture that the file draws.
        ratio: the file's size over the target's; or its distortion over the most that is allowed.
        rank: whether it misses the target by having more, then what is to be small: the excess, or what was not asked
            for, loss or size.
    """

    lmbda: float
    step_size: float
    symbols: Tensor
    blob: bytes
    loss: float
    ratio: float
    rank: tuple[bool, float]

    @property
    def hit(self) -> bool:
        """Whether it has the target."""
        return _HIT <= self.ratio <= 1

    @property
    def exhausted(self) -> bool:
        """Whether bytes cost next to nothing already, so that finer rounding would not be visible."""
        return self.lmbda < 10 * LAMBDAS[0]


@dataclass
class Candidate:
    """A picture's best file so far, one that could be trimmed, and the lambda to begin the next search with."""

    lmbda: float
    best: Found | None = None
    spare: Found | None = None  # of the files that are larger, or better, than asked for the nearest

    @property
    def is_near(self) -> bool:
        """Whether no further search is needed."""
        if self.best is not None and self.best.hit:
            return True
        return self.spare is not None and 1 / NEAR <= self.spare.ratio <= NEAR


class RateController:
    """Changes each picture's lambda until its file nearly has a size, or a quality, and trims it to that.

    Args:
        search: for symbols; its loss is what files of a size have as little of as they can.
        images: uint8 [N, 3, S, S].
        z: what their descents came to, float32 [N, latent_dim].
        target: of the files.
        seed: of the random streams of the search.
        budget: how much to search.
    """

    def __init__(
        self, search: SymbolSearch, images: Tensor, z: Tensor, target: Target, seed: int, budget: RateBudget
    ) -> None:
        self.search, self.coder, self.images, self.z = search, search.coder, images, z
        self.target, self.budget = target, budget
        self.rngs = [lane_rng(seed, image, 0) for image in images]
        self.latents: list[Tensor | None] = [None] * len(images)  # where the last search of each picture came to
        self.candidates = [Candidate(self._first_lambda()) for _ in images]

    def _first_lambda(self) -> float:
        num_bytes = self.target.num_bytes
        if self.coder.levels == "z" or num_bytes is None:
            # Not above 30 times: a search that begins at too high a lambda leaves little to begin the next one from.
            lmbda = _Z_LAMBDA * min(30.0, (_Z_BYTES / (num_bytes or _Z_BYTES)) ** _Z_POWER)
        else:
            lmbda = _GRID_LAMBDA * (_GRID_BYTES / num_bytes) ** _GRID_POWER
        return _within(lmbda * self.search.curvature)

    def go_on(self, num_bytes: int) -> list[Found]:
        """Return files of another size; the search for each begins where its last one came to."""
        if self.target.num_bytes is None:
            raise ValueError("only files of a size can be followed by files of another size")
        change = (self.target.num_bytes / num_bytes) ** (_GRID_POWER if self.coder.levels == "all" else _Z_POWER)
        self.target = replace(self.target, num_bytes=num_bytes)
        self.candidates = [Candidate(_within(self._best(one).lmbda * change)) for one in self.candidates]
        return self.run()

    def run(self) -> list[Found]:
        """Return one file per picture."""
        for _ in range(self.budget.num_searches):
            waiting = [lane for lane, candidate in enumerate(self.candidates) if not candidate.is_near]
            fresh = [lane for lane in waiting if self.latents[lane] is None]
            self._search(fresh, self.budget.search)
            self._search([lane for lane in waiting if lane not in fresh], self.budget.again)
        self._trim([lane for lane, one in enumerate(self.candidates) if one.spare and not self._best(one).hit])
        return [self._best(candidate) for candidate in self.candidates]

    @staticmethod
    def _best(candidate: Candidate) -> Found:
        if candidate.best is None:
            raise ValueError("a picture has no file before the first search")
        return candidate.best

    def _search(self, lanes: list[int], effort: Effort) -> None:
        """Search for symbols of some pictures at their lambdas, with the step sizes that suit these."""
        if not lanes:
            return
        images, candidates = self.images[lanes], [self.candidates[lane] for lane in lanes]
        lmbda = torch.tensor([candidate.lmbda for candidate in candidates])
        last = [there for lane in lanes if (there := self.latents[lane]) is not None]
        first_steps = self.search.step_sizes(lmbda)
        begins = torch.stack(last) if last else self.search.with_grid(self.z[lanes], images, first_steps)
        rngs = [self.rngs[lane] for lane in lanes]
        symbols, latents, lmbda = self.search.search_target(begins, images, rngs, lmbda, self.target, effort)
        step_sizes = self.search.step_sizes(lmbda).tolist()
        for i, (lane, candidate) in enumerate(zip(lanes, candidates, strict=True)):
            self.latents[lane], candidate.lmbda = latents[i], float(lmbda[i])
            self._keep(candidate, self._found(lane, symbols[i], step_sizes[i], candidate.lmbda))

    def _found(self, lane: int, symbols: Tensor, step_size: float, lmbda: float) -> Found:
        """Return symbols int32 [D] of a picture with the file that they make, and how it does."""
        blob, target = self.coder.write(symbols.numpy(), step_size), self.target
        loss = self._distortion(lane, symbols, step_size)
        judged = loss if target.judge is None else self._distortion(lane, symbols, step_size, target.judge)
        ratio = target.ratio(len(blob), judged)
        wanted = loss if target.num_bytes is not None else len(blob)  # of which there is to be little
        return Found(lmbda, step_size, symbols, blob, loss, ratio, (ratio > 1, ratio if ratio > 1 else wanted))

    def _distortion(self, lane: int, symbols: Tensor, step_size: float, judge: nn.Module | None = None) -> float:
        latents = dequantise(symbols, self.coder.step_sizes(step_size))[None]
        return float(self.search.distortions(latents, self.images[lane][None], judge))

    def _keep(self, candidate: Candidate, found: Found) -> None:
        """Keep what was found where it is better than the best, or nearer to the target than what could be trimmed."""
        if candidate.best is None or found.rank < candidate.best.rank:
            candidate.best = found
        spare = found.ratio > 1 if self.target.num_bytes is not None else found.ratio < _HIT
        if spare and (candidate.spare is None or abs(found.ratio - 1) < abs(candidate.spare.ratio - 1)):
            candidate.spare = found

    def _trim(self, lanes: list[int]) -> None:
        """Take symbols of files that are larger, or better, than asked for towards zero until they just are not."""
        if not lanes:
            return
        spares = [spare for lane in lanes if (spare := self.candidates[lane].spare) is not None]
        symbols, sizes = torch.stack([one.symbols for one in spares]), torch.tensor([one.step_size for one in spares])
        for share in (0.5, 0.0):  # what bytes buy is looked at anew half-way
            order = self.search.cheapest_moves(symbols, self.images[lanes], sizes)
            rows = [
                self._trimmed(lane, row, moves, spare.step_size, spare.ratio**share)
                for lane, row, moves, spare in zip(lanes, symbols, order, spares, strict=True)
            ]
            symbols = torch.stack(rows)
        for lane, row, spare in zip(lanes, symbols, spares, strict=True):
            self._keep(self.candidates[lane], self._found(lane, row, spare.step_size, spare.lmbda))

    def _trimmed(self, lane: int, symbols: Tensor, moves: Tensor, step_size: float, goal: float) -> Tensor:
        """Return symbols int32 [D] of which as many are one nearer to zero, in the order of `moves`, as the goal takes.

        The goal is a ratio as `Found` has it: of a size it is fallen short of, of a distortion it is not exceeded.
        """
        target = self.target

        def moved(number: int) -> Tensor:
            trial = symbols.clone()
            trial[moves[:number]] -= trial[moves[:number]].sign()
            return trial

        def reaches(trial: Tensor) -> bool:
            if target.num_bytes is not None:
                return len(self.coder.write(trial.numpy(), step_size)) <= goal * target.num_bytes
            return self._distortion(lane, trial, step_size, target.judge) > goal * target.limit

        few, many = 0, len(moves)  # of these the first does not reach the goal, the second does
        while many - few > 1:
            middle = (few + many) // 2
            few, many = (few, middle) if reaches(moved(middle)) else (middle, many)
        return moved(many if target.num_bytes is not None else few)


def _within(lmbda: float) -> float:
    low, high = LAMBDAS
    return min(max(lmbda, low), high)
