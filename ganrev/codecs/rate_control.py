"""Files of a given size, or of a given quality: change lambda until they have it."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganrev.codecs.symbol_search import SymbolSearch
from ganrev.coding.quantiser import Effort, dequantise, step_size_for
from ganrev.reversal.reversing import lane_rng

_LEAST_SIZE = 0.98  # a size is hit where the file takes at least this share of it, and no more than all
_LEAST_DISTORTION = 0.98  # a quality is hit where the distortion is at least this share of what is allowed
_FIRST_LAMBDA = 1e-4  # times the loss's curvature
_LAMBDAS = (1e-7, 1.0)  # between which lambda is looked for
# At first a file is taken to need lambda ** -0.25 bytes, and its distortion to grow as lambda ** 0.2; after two tries
# the power is measured, and clamped to bounds.
_SIZE_POWER, _SIZE_POWER_BOUNDS = 0.25, (0.1, 1.0)
_DISTORTION_POWER, _DISTORTION_POWER_BOUNDS = 0.2, (0.15, 1.0)
_SEARCH = Effort(num_steps=40, lr=0.04, num_rounds=25)
_POLISH = Effort(num_steps=0, lr=0.04, num_rounds=25)
# With a grid, files of B bytes were found on validation faces at lambda near 5e-4 (270 / B)^1.6 times the curvature.
_GRID_LAMBDA, _GRID_BYTES, _GRID_POWER = 5e-4, 270, 1.6


@dataclass(frozen=True)
class RateBudget:
    """How often, and how long, rate control searches for symbols.

    Attributes:
        search: from the latents.
        again: from where the last search came to; None to begin each search from the latents.
        polish: from symbols that take too many bytes.
        num_searches: from the latents, at first.
        num_polishings: after them, of the smallest file that was too large.
        num_last_searches: from the latents, where polishing has not hit the target.
    """

    search: Effort = _SEARCH
    again: Effort | None = None
    polish: Effort = _POLISH
    num_searches: int = 5
    num_polishings: int = 8
    num_last_searches: int = 2


Z_BUDGET = RateBudget()
GRID_BUDGET = RateBudget(
    search=Effort(num_steps=60, lr=0.05, num_rounds=25),
    again=Effort(num_steps=20, lr=0.04, num_rounds=15),
    polish=Effort(num_steps=0, lr=0.04, num_rounds=12),
    num_searches=5,
    num_polishings=8,
    num_last_searches=0,
)


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

    @property
    def lowest(self) -> bool:
        """Whether bytes cost next to nothing already, so that finer rounding would not be visible."""
        return self.lmbda < 3 * _LAMBDAS[0]

    def loosen(self) -> None:
        """Widen the bounds a little, and go on from the last tries."""
        self.low, self.high = max(_LAMBDAS[0], self.low / 1.3), min(_LAMBDAS[1], self.high * 1.3)

    def with_wider_bounds(self) -> "LambdaSearch":
        """Return it with wider bounds: those found by one kind of search hold only roughly for another."""
        return LambdaSearch(self.lmbda, max(_LAMBDAS[0], self.low / 3), min(_LAMBDAS[1], self.high * 3))


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
class OversizedCandidate:
    """Symbols that take more bytes than allowed or needed, for polishing; lambda and step size they were found with."""

    lmbda: float
    step_size: float
    symbols: Tensor
    num_bytes: int


@dataclass
class Candidate:
    """A picture's best file so far, and the lambda to try next."""

    search: LambdaSearch
    oversized: OversizedCandidate | None = None  # the smallest of those that were too large, or too good
    lmbda: float = 0.0
    step_size: float = 0.0
    symbols: Tensor | None = None
    blob: bytes = b""
    loss: float = math.inf
    rank: tuple[bool, float] = (True, math.inf)  # whether it misses the target, then what is to be small
    hit: bool = False


class RateController:
    """Changes each picture's lambda until its file hits a size, from below, or a quality, from above.

    Args:
        search: for symbols; its loss is what files of a size have as little of as they can.
        images: uint8 [N, 3, S, S].
        z: what their descents came to, float32 [N, latent_dim].
        target: of the files.
        seed: of the random streams of the search.
        budget: how much to search.
    """

    def __init__(
        self,
        search: SymbolSearch,
        images: Tensor,
        z: Tensor,
        target: Target,
        seed: int,
        budget: RateBudget,
    ) -> None:
        self.search, self.coder, self.images, self.z = search, search.coder, images, z
        self.target, self.budget = target, budget
        self.rngs = [lane_rng(seed, image, 0) for image in images]
        self.latents: list[Tensor | None] = [None] * len(images)  # where the last search of each picture came to
        self.candidates = [Candidate(LambdaSearch(self._first_lambda())) for _ in images]

    def _first_lambda(self) -> float:
        if self.coder.levels == "z" or self.target.num_bytes is None:
            return _FIRST_LAMBDA * self.search.curvature
        return _GRID_LAMBDA * (_GRID_BYTES / self.target.num_bytes) ** _GRID_POWER * self.search.curvature

    def go_on(self, num_bytes: int) -> list[Candidate]:
        """Return files of another size; the search for each begins at the symbols of its last one."""
        if self.target.num_bytes is None:
            raise ValueError("only files of a size can be followed by files of another size")
        change = (self.target.num_bytes / num_bytes) ** (_GRID_POWER if self.coder.levels == "all" else 1 / _SIZE_POWER)
        self.target = Target(num_bytes)
        low, high = _LAMBDAS
        lambdas = [min(max(one.lmbda * change, low), high) for one in self.candidates]
        self.candidates = [Candidate(LambdaSearch(lmbda)) for lmbda in lambdas]
        return self.run()

    def run(self) -> list[Candidate]:
        """Return one file per picture."""
        # Search from the latents, at a lambda that approaches the target.
        for _ in range(self.budget.num_searches):
            self._search_from_latents()
        searched = [candidate.search for candidate in self.candidates]
        # Polish the smallest file that is too large, symbol by symbol.
        for candidate in self.candidates:
            if large := candidate.oversized:
                candidate.search = LambdaSearch(1.2 * large.lmbda, large.lmbda, 8 * large.lmbda)
        for _ in range(self.budget.num_polishings):
            self._polish_oversized()
        self._fill()
        # Search from the latents once more: the results of searches are noisy, and a bound may be wrong.
        for candidate, search in zip(self.candidates, searched, strict=True):
            candidate.search = search.with_wider_bounds()
        for _ in range(self.budget.num_last_searches):
            self._search_from_latents()
        return self.candidates

    def _search_from_latents(self) -> None:
        """Search for symbols of each picture that has not hit the target, with the step size that suits its lambda."""
        curvature, again = self.search.curvature, self.budget.again
        waiting = [lane for lane, candidate in enumerate(self.candidates) if not candidate.hit]
        fresh = [lane for lane in waiting if again is None or self.latents[lane] is None]
        for lanes in (fresh, [lane for lane in waiting if lane not in fresh]):
            if not lanes:
                continue
            if lanes is not fresh:  # what went before makes the next search find fewer bytes: bounds hold only roughly
                for lane in lanes:
                    self.candidates[lane].search.loosen()
            sizes = torch.tensor([step_size_for(self.candidates[lane].search.lmbda, curvature) for lane in lanes])
            if lanes is fresh:
                begins = self.search.with_grid(self.z[lanes], self.images[lanes], sizes)
            else:
                begins = torch.stack([found for lane in lanes if (found := self.latents[lane]) is not None])
            self._search(lanes, begins, sizes, self.budget.search if lanes is fresh or again is None else again)

    def _polish_oversized(self) -> None:
        """Make oversized symbols cheaper, for each picture that has some and has not hit the target."""
        large = {lane: c.oversized for lane, c in enumerate(self.candidates) if c.oversized and not c.hit}
        if not large:
            return
        step_sizes = torch.tensor([one.step_size for one in large.values()])
        symbols = torch.stack([one.symbols for one in large.values()])
        z = dequantise(symbols, self.coder.step_sizes(step_sizes))
        self._search(list(large), z, step_sizes, self.budget.polish)

    def _search(self, lanes: list[int], z: Tensor, step_sizes: Tensor, effort: Effort) -> None:
        """Search for symbols of some pictures at their lambdas, and update their candidates.

        Args:
            lanes: indices of the pictures.
            z: where their searches begin, float32 [L, D].
            step_sizes: as their files will store them, float32 [L].
            effort: of the search.
        """
        candidates, images = [self.candidates[lane] for lane in lanes], self.images[lanes]
        lmbda = torch.tensor([candidate.search.lmbda for candidate in candidates])
        rngs = [self.rngs[lane] for lane in lanes]
        symbols, found = self.search.search_symbols(z, images, rngs, step_sizes, lmbda, effort)
        if effort.num_steps:
            for lane, row in zip(lanes, found, strict=True):
                self.latents[lane] = row
        for candidate, row, size, image in zip(candidates, symbols, step_sizes.tolist(), images, strict=True):
            self._update(candidate, row, size, image)

    def _fill(self) -> None:
        """Give files with room left as many of their oversized symbols as fit, where the step sizes are the same."""
        for candidate, image in zip(self.candidates, self.images, strict=True):
            large, symbols = candidate.oversized, candidate.symbols
            if self.target.num_bytes is None or candidate.hit or large is None or symbols is None:
                continue
            if candidate.step_size != large.step_size:
                continue
            # The most places that fit, by bisection.
            places = (symbols != large.symbols).nonzero().flatten()
            fits, too_many, filled = 0, len(places), symbols
            while too_many - fits > 1:
                trial, middle = symbols.clone(), (fits + too_many) // 2
                trial[places[:middle]] = large.symbols[places[:middle]]
                if len(self.coder.write(trial.numpy(), candidate.step_size)) <= self.target.num_bytes:
                    filled, fits = trial, middle
                else:
                    too_many = middle
            candidate.search = LambdaSearch(large.lmbda)
            self._update(candidate, filled, candidate.step_size, image)

    def _update(self, candidate: Candidate, symbols: Tensor, step_size: float, image: Tensor) -> None:
        """Keep what was found if it is better, and set the picture's next lambda.

        Of files that miss the target the nearest is best. Of the others it is the one with the least loss where a size
        is asked for, and the smallest where a quality is asked for.
        """
        # Compare the outcome with the target, and guess the lambda that hits it.
        latents = dequantise(symbols, self.coder.step_sizes(step_size))[None]
        blob, search, target = self.coder.write(symbols.numpy(), step_size), candidate.search, self.target
        loss = float(self.search.distortions(latents, image[None]))
        with_grid = self.coder.levels == "all"
        if target.num_bytes is not None:
            ratio, least, aim = len(blob) / target.num_bytes, _LEAST_SIZE, (1 + _LEAST_SIZE) / 2
            rank = (ratio > 1, len(blob) if ratio > 1 else loss)
            power = search.power(ratio, 1 / _GRID_POWER if with_grid else _SIZE_POWER, _SIZE_POWER_BOUNDS)
            raise_lambda, guess = ratio > 1, search.lmbda * (ratio / aim) ** (1 / power)
        else:
            judged = loss if target.judge is None else self.search.distortions(latents, image[None], target.judge)
            ratio, least, aim = float(judged) / target.limit, _LEAST_DISTORTION, (1 + _LEAST_DISTORTION) / 2
            rank = (ratio > 1, float(judged) if ratio > 1 else len(blob))
            power = search.power(ratio, _DISTORTION_POWER, _DISTORTION_POWER_BOUNDS)
            raise_lambda, guess = ratio <= 1, search.lmbda * (ratio / aim) ** (-1 / power)
        # Keep what is best, and what can be polished.
        oversized = ratio > 1 if target.num_bytes is not None else ratio < least
        if oversized and (candidate.oversized is None or len(blob) < candidate.oversized.num_bytes):
            candidate.oversized = OversizedCandidate(search.lmbda, step_size, symbols, len(blob))
        if rank < candidate.rank:
            candidate.lmbda, candidate.step_size, candidate.symbols = search.lmbda, step_size, symbols
            candidate.blob, candidate.loss = blob, loss
            candidate.rank, candidate.hit = rank, least <= ratio <= 1
        search.move(raise_lambda, guess)
