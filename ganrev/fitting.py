"""Files of a given size, or of a given quality: move the price of a byte until they come out so."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ganrev.gan import GanCodec
from ganrev.quantise import dequantise, step_for
from ganrev.ratedistortion import Effort
from ganrev.reversal import lane_rng

_NEAR = 0.98  # a size is hit from below where the file takes this share of it
_SEARCH = Effort(steps=40, lr=0.04, rounds=25)
_TOUCH_UP = Effort(steps=0, lr=0.04, rounds=25)
_SEARCHES, _TOUCHES, _LAST = 5, 8, 2
_CLOSE = 0.98  # a quality is hit where the distortion is this share of what is allowed
_FIRST_PRICE = 1e-4  # times the loss's curvature
_PRICES = (1e-7, 1.0)  # between which lambda is looked for
# A file takes about lambda ** -0.25 bytes and its distortion grows as lambda ** 0.2, until two tries tell better; what
# they tell is believed within bounds.
_SHRINKS, _SHRINKS_WITHIN = 0.25, (0.1, 1.0)
_WORSENS, _WORSENS_WITHIN = 0.2, (0.15, 1.0)


@dataclass
class Price:
    """The price of a byte to try next, and between which prices a better one may lie."""

    lmbda: float
    low: float = _PRICES[0]
    high: float = _PRICES[1]
    last: tuple[float, float] | None = None  # price and outcome of the last try

    def power(self, outcome: float, guess: float, within: tuple[float, float]) -> float:
        """Return how the outcome moves with the price, as the power of a law: from this try and the last."""
        last, self.last = self.last, (self.lmbda, outcome)
        if last is None or abs(apart := math.log(self.lmbda / last[0])) < 0.05:
            return guess
        low, high = within
        return min(max(abs(math.log(outcome / last[1]) / apart), low), high)

    def move(self, dearer: bool, guess: float) -> None:
        """Set the next price: the guess, or the middle of what is left where the guess lies outside."""
        if dearer:
            self.low = max(self.low, self.lmbda)
        else:
            self.high = min(self.high, self.lmbda)
        self.lmbda = guess if self.low < guess < self.high else math.sqrt(self.low * self.high)

    @property
    def lowest(self) -> bool:
        """Whether bytes have come to cost next to nothing: finer rounding would show nowhere."""
        return self.lmbda < 3 * _PRICES[0]

    def loosened(self) -> "Price":
        """Return it with wider bounds: found by one kind of search, they hold only nearly for another."""
        return Price(self.lmbda, max(_PRICES[0], self.low / 3), min(_PRICES[1], self.high * 3))


@dataclass(frozen=True)
class Lavish:
    """Symbols that take more bytes than need be, to be made fewer one by one; the price and step they were found at."""

    lmbda: float
    step: float
    symbols: Tensor
    num_bytes: int


@dataclass
class File:
    """A picture's best file so far, and the price to try next."""

    price: Price
    lavish: Lavish | None = None  # the smallest of those that missed by being too large, or too good
    lmbda: float = 0.0
    step: float = 0.0
    symbols: Tensor | None = None
    blob: bytes = b""
    distortion: float = math.inf
    rank: tuple[bool, float] = (True, math.inf)  # whether it misses the target, and what then is to be small
    hit: bool = False


class Fit:
    """Moves each picture's price of a byte until its file hits a size, from below, or a distortion.

    Args:
        codec: whose loss is the distortion, with `quant=rd`.
        images: uint8 [N, 3, S, S].
        z: their latents, float32 [N, D].
        target_bytes: size of a file; None where `limit` is what counts.
        limit: of the distortion.
    """

    def __init__(self, codec: GanCodec, images: Tensor, z: Tensor, target_bytes: int | None, limit: float) -> None:
        self.codec, self.images, self.z = codec, images, z
        self.target_bytes, self.limit = target_bytes, limit
        self.rngs = [lane_rng(codec.seed, image, 0) for image in images]
        self.files = [File(Price(_FIRST_PRICE * codec.curvature)) for _ in images]

    def run(self) -> list[File]:
        """Return one file a picture."""
        for _ in range(_SEARCHES):
            self._try(_SEARCH, again=False)
        searched = [file.price for file in self.files]
        for file in self.files:
            if file.lavish:
                file.price = Price(1.2 * file.lavish.lmbda, file.lavish.lmbda, 8 * file.lavish.lmbda)
        for _ in range(_TOUCHES):
            self._try(_TOUCH_UP, again=True)
        self._fill()
        for file, price in zip(self.files, searched, strict=True):
            file.price = price.loosened()  # what a search finds is noisy, and a bound may be wrong
        for _ in range(_LAST):  # where making single symbols cheaper has not led there
            self._try(_SEARCH, again=False)
        return self.files

    def _fill(self) -> None:
        """Give files that are too small as many of their lavish symbols as they can take, where steps agree."""
        for file, image in zip(self.files, self.images, strict=True):
            usable = self.target_bytes is not None and not file.hit and file.lavish and file.symbols is not None
            if not usable or file.step != file.lavish.step:
                continue
            places = (file.symbols != file.lavish.symbols).nonzero().flatten()
            fits, too_many = 0, len(places)
            filled = file.symbols
            while too_many - fits > 1:
                trial, middle = file.symbols.clone(), (fits + too_many) // 2
                trial[places[:middle]] = file.lavish.symbols[places[:middle]]
                if len(self.codec.write(trial.numpy(), file.step)) <= self.target_bytes:
                    filled, fits = trial, middle
                else:
                    too_many = middle
            file.price = Price(file.lavish.lmbda)
            z = dequantise(filled[None], self.codec.steps_in_z(torch.tensor([file.step])))
            self._learn(file, filled, file.step, float(self.codec.distortions(z, image[None])))

    def _try(self, effort: Effort, again: bool) -> None:
        """Search for symbols of each picture that has not hit, at its price, and learn from what they take and give.

        Args:
            effort: of the search.
            again: begin at the picture's `lavish` symbols, with their step, rather than at its latents.
        """
        lanes = [lane for lane, file in enumerate(self.files) if not file.hit and (file.lavish or not again)]
        if not lanes:
            return
        files, images = [self.files[lane] for lane in lanes], self.images[lanes]
        prices = torch.tensor([file.price.lmbda for file in files])
        curvature = self.codec.curvature
        steps = torch.tensor([f.lavish.step if again else step_for(f.price.lmbda, curvature) for f in files])
        in_z = self.codec.steps_in_z(steps)
        z = dequantise(torch.stack([file.lavish.symbols for file in files]), in_z) if again else self.z[lanes]
        symbols = self.codec.weigh(z, images, [self.rngs[lane] for lane in lanes], steps, prices, effort)
        distortions = self.codec.distortions(dequantise(symbols, in_z), images).tolist()
        for file, row, step, distortion in zip(files, symbols, steps.tolist(), distortions, strict=True):
            self._learn(file, row, step, distortion)

    def _learn(self, file: File, symbols: Tensor, step: float, distortion: float) -> None:
        """Keep what was found if it is better, and set the picture's next price.

        A file that misses the target is the better the nearer it comes; one that does not, the less it distorts at
        the size asked for, or the less it takes at the quality asked for.
        """
        blob, price = self.codec.write(symbols.numpy(), step), file.price
        if self.target_bytes is not None:
            ratio, near, aim = len(blob) / self.target_bytes, _NEAR, (1 + _NEAR) / 2
            rank = (ratio > 1, len(blob) if ratio > 1 else distortion)
            power = price.power(ratio, _SHRINKS, _SHRINKS_WITHIN)
            dearer, guess = ratio > 1, price.lmbda * (ratio / aim) ** (1 / power)
        else:
            ratio, near, aim = distortion / self.limit, _CLOSE, (1 + _CLOSE) / 2
            rank = (ratio > 1, distortion if ratio > 1 else len(blob))
            power = price.power(ratio, _WORSENS, _WORSENS_WITHIN)
            dearer, guess = ratio <= 1, price.lmbda * (ratio / aim) ** (-1 / power)
        lavish = ratio > 1 if self.target_bytes is not None else ratio < near
        if lavish and (file.lavish is None or len(blob) < file.lavish.num_bytes):
            file.lavish = Lavish(price.lmbda, step, symbols, len(blob))
        if rank < file.rank:
            file.lmbda, file.step, file.symbols, file.blob = price.lmbda, step, symbols, blob
            file.distortion = distortion
            file.rank, file.hit = rank, near <= ratio <= 1
        price.move(dearer, guess)
