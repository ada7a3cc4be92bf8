"""Files of a given size, or of a given quality: change lambda until they have it."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganrev.codecs.symbol_search import SymbolSearch
from ganrev.coding.quantiser import Effort, dequantise, step_size_for
from ganrev.reversal.reversing import lane_rng

_HIT = (
    0.98  # a target is hit where a file has at least this share of the size, or of the distortion, and no more than all
)
_NEAR = 1.1  # a file that is larger by up to this factor, or better, is trimmed to the target
_AIM = 1.03  # so this is what a search aims at
# Files of B bytes were found on validation faces at lambda near 1e-4 (230 / B)^4 times the loss's curvature with z
# alone, and near 5e-4 (270 / B)^1.6 with a grid.
_Z_LAMBDA, _Z_BYTES = 1e-4, 230
_GRID_LAMBDA, _GRID_BYTES, _GRID_POWER = 5e-4, 270, 1.6
_LAMBDAS = (1e-7, 1.0)  # between which lambda is looked for
# At first a file is taken to need lambda ** -0.25 bytes, and its distortion to grow as lambda ** 0.2; after two tries
# the power is measured, and clamped to bounds.
_SIZE_POWER, _SIZE_POWER_BOUNDS = 0.25, (0.1, 1.0)
_DISTORTION_POWER, _DISTORTION_POWER_BOUNDS = 0.2, (0.15, 1.0)
_SEARCH = Effort(num_steps=40, lr=0.04, num_rounds=25)
_AGAIN = Effort(num_steps=20, lr=0.04, num_rounds=15)


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
    num_searches: int = 5


Z_BUDGET = RateBudget()
GRID_BUDGET = RateBudget(search=Effort(num_steps=60, lr=0.05, num_rounds=25))


@dataclass
class LambdaSearch:
    """The lambda of the next try, and the bounds between which a better one may lie."""

    lmbda: float
    low: float = _LAMBDAS[0]
    high: float = _LAMBDAS[1]
    last: tuple[float, float] | None = None  # lambda and outcome of the last try

    def power(self, outcome: float, guess: float, bounds: tuple[float, float]) -> float:
        """Return the power of lambda with which the outcome changes, measured between this try and the last."""
        last, self.last = self.last, (self.lmbda, outcome)
        if last is None or abs(apart := math.log(self.lmbda / last[0])) < 0.05:
            return guess
        low, high = bounds
        return min(max(abs(math.log(outcome / last[1]) / apart), low), high)

    def move(self, raise_it: bool, guess: float) -> None:
        """Set the next lambda: the guess, or the middle of the bounds where the guess lies outside them."""
        if raise_it:
            self.low = max(self.low, self.lmbda)
        else:
            self.high = min(self.high, self.lmbda)
        self.lmbda = guess if self.low < guess < self.high else math.sqrt(self.low * self.high)

    def loosen(self) -> None:
        """Widen the bounds a little, and go on from the last tries."""
        self.low, self.high = max(_LAMBDAS[0], self.low / 1.3), min(_LAMBDAS[1], self.high * 1.3)


@dataclass(frozen=True)
class Target:
    """What files must have: a size, or a quality.

    Attributes:
        num_bytes: the most that a file may take; None where a quality is asked for.
        judge: the distortion in which a quality is asked for; None for the loss that is searched with.
        limit: the most of it that is allowed.
    """

    num_bytes: int | None = None
    judge: nn.Module | None = None
    limit: float = math.inf


@dataclass(frozen=True)
class Found:
    """Symbols of one picture, and the file that they make.

    Attributes:
        lmbda: that they were searched for with.
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
        return self.lmbda < 10 * _LAMBDAS[0]


@dataclass
class Candidate:
    """A picture's best file so far, one that could be trimmed, and the lambda to try next."""

    search: LambdaSearch
    best: Found | None = None
    spare: Found | None = None  # of the files that are larger, or better, than asked for the nearest

    @property
    def is_near(self) -> bool:
        """Whether no further search is needed."""
        if self.best is not None and self.best.hit:
            return True
        return self.spare is not None and 1 / _NEAR <= self.spare.ratio <= _NEAR


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
        self.candidates = [Candidate(LambdaSearch(self._first_lambda())) for _ in images]

    def _first_lambda(self) -> float:
        num_bytes = self.target.num_bytes
        if self.coder.levels == "z" or num_bytes is None:
            # Not above 30 times: a search that begins at too high a lambda leaves little to begin the next one from.
            lmbda = _Z_LAMBDA * min(30.0, (_Z_BYTES / (num_bytes or _Z_BYTES)) ** (1 / _SIZE_POWER))
        else:
            lmbda = _GRID_LAMBDA * (_GRID_BYTES / num_bytes) ** _GRID_POWER
        low, high = _LAMBDAS
        return min(max(lmbda * self.search.curvature, low), high)

    def go_on(self, num_bytes: int) -> list[Found]:
        """Return files of another size; the search for each begins where its last one came to."""
        if self.target.num_bytes is None:
            raise ValueError("only files of a size can be followed by files of another size")
        change = (self.target.num_bytes / num_bytes) ** (_GRID_POWER if self.coder.levels == "all" else 1 / _SIZE_POWER)
        self.target = Target(num_bytes)
        low, high = _LAMBDAS
        lambdas = [min(max(self._best(one).lmbda * change, low), high) for one in self.candidates]
        self.candidates = [Candidate(LambdaSearch(lmbda)) for lmbda in lambdas]
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
        lambdas = [candidate.search.lmbda for candidate in candidates]
        sizes = torch.tensor([step_size_for(lmbda, self.search.curvature) for lmbda in lambdas])
        last = [there for lane in lanes if (there := self.latents[lane]) is not None]
        begins = torch.stack(last) if last else self.search.with_grid(self.z[lanes], images, sizes)
        rngs = [self.rngs[lane] for lane in lanes]
        symbols, latents = self.search.search_symbols(begins, images, rngs, sizes, torch.tensor(lambdas), effort)
        for i, (lane, candidate) in enumerate(zip(lanes, candidates, strict=True)):
            self.latents[lane] = latents[i]
            if last:  # what went before makes a search find fewer bytes: bounds hold only roughly
                candidate.search.loosen()
            found = self._found(lane, symbols[i], float(sizes[i]), lambdas[i])
            self._keep(candidate, found)
            self._set_lambda(candidate.search, found.ratio)

    def _found(self, lane: int, symbols: Tensor, step_size: float, lmbda: float) -> Found:
        """Return symbols int32 [D] of a picture with the file that they make, and how it does."""
        blob, target = self.coder.write(symbols.numpy(), step_size), self.target
        loss = self._distortion(lane, symbols, step_size)
        if target.num_bytes is not None:
            ratio = len(blob) / target.num_bytes
            rank = (ratio > 1, ratio if ratio > 1 else loss)
        else:
            ratio = self._distortion(lane, symbols, step_size, target.judge) / target.limit
            rank = (ratio > 1, ratio if ratio > 1 else len(blob))
        return Found(lmbda, step_size, symbols, blob, loss, ratio, rank)

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

    def _set_lambda(self, search: LambdaSearch, ratio: float) -> None:
        """Set a picture's next lambda: the one that is likely to come to a little more than was asked for."""
        if self.target.num_bytes is not None:
            power = search.power(
                ratio, 1 / _GRID_POWER if self.coder.levels == "all" else _SIZE_POWER, _SIZE_POWER_BOUNDS
            )
            search.move(ratio > _AIM, search.lmbda * (ratio / _AIM) ** (1 / power))
        else:
            power = search.power(ratio, _DISTORTION_POWER, _DISTORTION_POWER_BOUNDS)
            search.move(ratio <= 1 / _AIM, search.lmbda * (ratio * _AIM) ** (-1 / power))

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
