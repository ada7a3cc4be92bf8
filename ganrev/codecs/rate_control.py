"""Files of a given size, or of a given quality: change lambda until they have it."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

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


@dataclass(frozen=True)
class RateBudget:
    """How often, and how long, rate control searches for symbols.

    Attributes:
        search: from the latents.
        polish: from symbols that take too many bytes.
        num_searches: from the latents, at first.
        num_polishings: after them, of the smallest file that was too large.
        num_last_searches: from the latents, where polishing has not hit the target.
    """

    search: Effort = _SEARCH
    polish: Effort = _POLISH
    num_searches: int = 5
    num_polishings: int = 8
    num_last_searches: int = 2


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

    def with_wider_bounds(self) -> "LambdaSearch":
        """Return it with wider bounds: those found by one kind of search hold only roughly for another."""
        return LambdaSearch(self.lmbda, max(_LAMBDAS[0], self.low / 3), min(_LAMBDAS[1], self.high * 3))


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
    distortion: float = math.inf
    rank: tuple[bool, float] = (
        True,
        math.inf,
    )  # whether it misses the target, then what is to be small; lower is better
    hit: bool = False


class RateController:
    """Changes each picture's lambda until its file hits a size, from below, or a distortion.

    Args:
        search: for symbols; its loss is the distortion.
        images: uint8 [N, 3, S, S].
        z: their latents, float32 [N, D].
        target_bytes: size of a file; None where `limit` is what counts.
        limit: the most distortion that is allowed.
        seed: of the random streams of the search.
        budget: how much to search.
    """

    def __init__(
        self,
        search: SymbolSearch,
        images: Tensor,
        z: Tensor,
        target_bytes: int | None,
        limit: float,
        seed: int,
        budget: RateBudget,
    ) -> None:
        self.search, self.coder, self.images, self.z = search, search.coder, images, z
        self.target_bytes, self.limit, self.budget = target_bytes, limit, budget
        self.rngs = [lane_rng(seed, image, 0) for image in images]
        self.candidates = [Candidate(LambdaSearch(_FIRST_LAMBDA * search.curvature)) for _ in images]

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
        lanes = [lane for lane, candidate in enumerate(self.candidates) if not candidate.hit]
        curvature = self.search.curvature
        sizes = [step_size_for(self.candidates[lane].search.lmbda, curvature) for lane in lanes]
        self._search(lanes, self.z[lanes], torch.tensor(sizes), self.budget.search)

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
        if not lanes:
            return
        candidates, images = [self.candidates[lane] for lane in lanes], self.images[lanes]
        lmbda = torch.tensor([candidate.search.lmbda for candidate in candidates])
        rngs = [self.rngs[lane] for lane in lanes]
        symbols, _ = self.search.search_symbols(z, images, rngs, step_sizes, lmbda, effort)
        in_z = self.coder.step_sizes(step_sizes)
        distortions = self.search.distortions(dequantise(symbols, in_z), images).tolist()
        for candidate, row, size, distortion in zip(candidates, symbols, step_sizes.tolist(), distortions, strict=True):
            self._update(candidate, row, size, distortion)

    def _fill(self) -> None:
        """Give files with room left as many of their oversized symbols as fit, where the step sizes are the same."""
        for candidate, image in zip(self.candidates, self.images, strict=True):
            large, symbols = candidate.oversized, candidate.symbols
            if self.target_bytes is None or candidate.hit or large is None or symbols is None:
                continue
            if candidate.step_size != large.step_size:
                continue
            # The most places that fit, by bisection.
            places = (symbols != large.symbols).nonzero().flatten()
            fits, too_many, filled = 0, len(places), symbols
            while too_many - fits > 1:
                trial, middle = symbols.clone(), (fits + too_many) // 2
                trial[places[:middle]] = large.symbols[places[:middle]]
                if len(self.coder.write(trial.numpy(), candidate.step_size)) <= self.target_bytes:
                    filled, fits = trial, middle
                else:
                    too_many = middle
            candidate.search = LambdaSearch(large.lmbda)
            z = dequantise(filled[None], self.coder.step_sizes(torch.tensor([candidate.step_size])))
            self._update(candidate, filled, candidate.step_size, float(self.search.distortions(z, image[None])))

    def _update(self, candidate: Candidate, symbols: Tensor, step_size: float, distortion: float) -> None:
        """Keep what was found if it is better, and set the picture's next lambda.

        Of files that miss the target the nearest is best. Of the others it is the one with the least distortion where a
        size is asked for, and the smallest where a quality is asked for.
        """
        # Compare the outcome with the target, and guess the lambda that hits it.
        blob, search = self.coder.write(symbols.numpy(), step_size), candidate.search
        if self.target_bytes is not None:
            ratio, least, aim = len(blob) / self.target_bytes, _LEAST_SIZE, (1 + _LEAST_SIZE) / 2
            rank = (ratio > 1, len(blob) if ratio > 1 else distortion)
            power = search.power(ratio, _SIZE_POWER, _SIZE_POWER_BOUNDS)
            raise_lambda, guess = ratio > 1, search.lmbda * (ratio / aim) ** (1 / power)
        else:
            ratio, least, aim = distortion / self.limit, _LEAST_DISTORTION, (1 + _LEAST_DISTORTION) / 2
            rank = (ratio > 1, distortion if ratio > 1 else len(blob))
            power = search.power(ratio, _DISTORTION_POWER, _DISTORTION_POWER_BOUNDS)
            raise_lambda, guess = ratio <= 1, search.lmbda * (ratio / aim) ** (-1 / power)
        # Keep what is best, and what can be polished.
        oversized = ratio > 1 if self.target_bytes is not None else ratio < least
        if oversized and (candidate.oversized is None or len(blob) < candidate.oversized.num_bytes):
            candidate.oversized = OversizedCandidate(search.lmbda, step_size, symbols, len(blob))
        if rank < candidate.rank:
            candidate.lmbda, candidate.step_size, candidate.symbols = search.lmbda, step_size, symbols
            candidate.blob, candidate.distortion = blob, distortion
            candidate.rank, candidate.hit = rank, least <= ratio <= 1
        search.move(raise_lambda, guess)
