"""The best file within a size: one search for every codec that is steered by a quality and some settings."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from ganrev.codecs.base import BelowFloorError

Settings = Mapping[str, object]

_LOWEST = 3  # qualities of the ladder's end that are tried before a setting is given up
_BEYOND = 3  # qualities tried above the highest that fits: a file does not always grow with its quality
_NEAR = 10  # qualities up and down that later rounds try


@dataclass(frozen=True)
class Knobs:
    """What the search may turn.

    Attributes:
        ladder: qualities, from the worst to the best.
        rounds: settings tried one after the other, over the whole ladder in the first round; those of a later round
            on top of the best found so far, near its quality. What is slow or matters little comes late.
    """

    ladder: Sequence[float]
    rounds: Sequence[Sequence[Settings]] = (({},),)


@dataclass
class _Best:
    """One picture's search.

    Attributes:
        image: uint8 [3, H, W].
        write: a file of it, by quality and settings.
        read: uint8 [3, H, W] of a file.
        target_bytes: the size that a file may have.
        floor_bytes: of the smallest file seen.
        blob: the best file that fits; None where none does.
        mse: of that file's picture, squared grey levels.
        place: its quality's on the ladder, or that of the smallest file where none fits.
        settings: likewise.
    """

    image: Tensor
    write: Callable[[float, Settings], bytes]
    read: Callable[[bytes], Tensor]
    target_bytes: int
    floor_bytes: int | None = None
    blob: bytes | None = None
    mse: float = float("inf")
    place: int = 0
    settings: Settings = field(default_factory=dict)

    def fits(self, ladder: Sequence[float], place: int, settings: Settings) -> bool:
        """Write one file; whether it is within the size. The better of it and the best so far is kept."""
        blob = self.write(ladder[place], settings)
        if self.floor_bytes is None or len(blob) < self.floor_bytes:
            self.floor_bytes = len(blob)
            if self.blob is None:
                self.place, self.settings = place, settings
        if len(blob) > self.target_bytes:
            return False
        mse = float((self.read(blob).float() - self.image.float()).square().mean())
        if self.blob is None or (mse, len(blob)) < (self.mse, len(self.blob)):
            self.blob, self.mse, self.place, self.settings = blob, mse, place, settings
        return True

    def climb(self, ladder: Sequence[float], places: range, settings: Settings) -> None:
        """Find the highest quality of a part of the ladder that fits, by halves, and try a few above it."""
        if not any(self.fits(ladder, place, settings) for place in places[:_LOWEST]):
            return
        low, high = places.start, places.stop
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.fits(ladder, middle, settings) else (low, middle)
        for place in range(high + 1, min(high + 1 + _BEYOND, places.stop)):
            self.fits(ladder, place, settings)


def best_file(
    image: Tensor,
    target_bytes: int,
    knobs: Knobs,
    write: Callable[[float, Settings], bytes],
    read: Callable[[bytes], Tensor],
) -> bytes:
    """Return the file not above a size whose picture has the smallest mean squared error.

    Args:
        image: uint8 [3, H, W].
        target_bytes: the size.
        knobs: qualities and settings to try.
        write: a file of the picture, by quality and settings.
        read: uint8 [3, H, W] of a file.

    Raises:
        ganrev.codecs.BelowFloorError: no file is as small; the message names the smallest.
    """
    best = _Best(image, write, read, target_bytes)
    last = len(knobs.ladder)
    for number, settings in enumerate(knobs.rounds):
        start, near = best.settings, range(max(0, best.place - _NEAR), min(last, best.place + _NEAR + 1))
        for change in settings:
            best.climb(knobs.ladder, near if number else range(last), {**start, **change})
    if best.blob is None:
        raise BelowFloorError(target_bytes, best.floor_bytes or 0)
    return best.blob
