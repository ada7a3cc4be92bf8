"""GAN reversal that is given a size or a quality and chooses all other settings by itself."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from ganrev.codecs.base import EncodeReport, check_images
from ganrev.codecs.lanes import reverse_pictures
from ganrev.codecs.latent_codec import LatentCodec
from ganrev.codecs.rate_control import GRID_BUDGET, Z_BUDGET, Found, RateBudget, RateController
from ganrev.codecs.symbol_search import SymbolSearch
from ganrev.codecs.target import Target
from ganrev.coding import container
from ganrev.coding.backends import Range
from ganrev.coding.latent_coder import LatentCoder
from ganrev.configuration.options import Several, Whole, checked_options
from ganrev.generator.base import Generator, Levels
from ganrev.reversal.device import Device
from ganrev.reversal.losses import MSE, SSIM
from ganrev.reversal.settings import Reversal

_logger = logging.getLogger(__name__)

_JUDGES: dict[str, type[nn.Module]] = {"ssim": SSIM, "psnr": MSE}
_LIMITS = {"ssim": (0.0, 1.0), "psnr": (5.0, 60.0)}
_SMALLEST = 16  # bytes: header, width, and hardly any payload
_GRID_FROM = 110  # bytes, from which on a grid serves better than z alone, by the default loss on validation faces

FileSize = Annotated[Whole, Field(ge=_SMALLEST, description=f"a whole number of at least {_SMALLEST}")]
FileSizes = Annotated[
    list[FileSize], Several, Field(min_length=1, description=f"a list of whole numbers of at least {_SMALLEST}")
]


@dataclass(frozen=True)
class Choice:
    """What was chosen for one picture.

    Attributes:
        num_bytes: of the file.
        levels: `z`, or `all` where the file holds a grid, too.
        lmbda: lambda, the loss that one byte was allowed to cost.
        step_size: times each latent's own.
        hit: whether the target was reached.
        target: what was asked for, such as `250 bytes` or `ssim:0.72`.
        exhausted: whether the file is smaller than asked for because finer rounding would not be visible.
    """

    num_bytes: int
    levels: Levels
    lmbda: float
    step_size: float
    hit: bool
    target: str
    exhausted: bool

    def __str__(self) -> str:
        reason = "the latents have no use for more bytes" if self.exhausted else "that is as near as it came"
        missed = "" if self.hit else f"; missed {self.target}: {reason}"
        latents = "z alone" if self.levels == "z" else "z and a grid"
        return f"chose {latents}, {self.lmbda:.2g} of loss per byte, step {self.step_size:.3g}{missed}"

    def columns(self) -> dict[str, object]:
        """Return what a run's rows keep of it, by the columns `chosen_…` without that prefix."""
        return {"levels": self.levels, "lmbda": self.lmbda, "step": self.step_size, "hit": self.hit}


def parse_quality(quality: str) -> tuple[str, float]:
    """Split `ssim:0.72` or `psnr:25`; ValueError for anything else."""
    measure, _, text = str(quality).partition(":")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    low, high = _LIMITS.get(measure, (0.0, 0.0))
    if not low < value < high:
        raise ValueError(
            f"quality must be like ssim:0.72 (between 0 and 1) or psnr:25 (between 5 and 60 dB), got {quality!r}"
        )
    return measure, value


class AutoCodec(LatentCodec):
    """Compresses a picture to a size, or to a quality in as few bytes as it can.

    Latents are found by reversal; then symbols are searched for with a lambda that follows the target, which is hit by
    a size from below and by a quality from above. Where the generator has latents beyond z, small files are of z alone,
    and for a quality both z alone and all latents are tried.

    Args:
        generator: frozen.
        loss: what a file has as little of as it can.
        reversal: the descent.
        device: where and how precisely to compute.
        target_bytes: size of the file; None where `quality` is given.
        quality: `ssim:0.72` or `psnr:25`, checked in that measure; None where `target_bytes` is given.
        latent: `z`, or `all` latents; None for all that the generator has.
        curve: sizes in bytes of the curve that `target_bytes` is a point of, see `encode_curve`; None for a file by
            itself.
        seed: of the initial latents.
        budget: how much to search with z alone.
        grid_budget: how much to search with all latents.

    Raises:
        ValueError: not one of size and quality, or one that no file can have.
    """

    @checked_options("codec.")
    def __init__(
        self,
        generator: Generator,
        loss: nn.Module,
        reversal: Reversal,
        device: Device,
        target_bytes: FileSize | None = None,
        quality: str | None = None,
        latent: Levels | None = None,
        curve: FileSizes | None = None,
        seed: int = 0,
        budget: RateBudget = Z_BUDGET,
        grid_budget: RateBudget = GRID_BUDGET,
    ) -> None:
        if (target_bytes is None) == (quality is None):
            raise ValueError(
                "give one of target_bytes (codec.target_bytes=250) and quality (codec.quality=ssim:0.72, beside "
                "codec.target_bytes=null)"
            )
        if curve is not None and target_bytes not in curve:
            raise ValueError(f"codec.curve must have codec.target_bytes among its sizes, {target_bytes}; got {curve}")
        levels: Levels = ("z" if generator.grid is None else "all") if latent is None else latent
        super().__init__(generator, loss, Range("fitted"), True, device, seed, levels)
        self.target_bytes, self.quality, self.reversal = target_bytes, quality, _suited(reversal, generator)
        self.target = Target(target_bytes) if quality is None else self._target_of(quality)
        self.curve = curve
        self.budgets: dict[Levels, RateBudget] = {"z": budget, "all": grid_budget}
        z_coder = LatentCoder(self.generator, Range("fitted"), True, "z")
        self.searches: dict[Levels, SymbolSearch] = {"z": SymbolSearch(self.renderer, self.loss, z_coder)}
        if levels == "all":
            self.searches["all"] = self.search

    def _target_of(self, quality: str) -> Target:
        measure, value = parse_quality(quality)
        return Target(judge=_JUDGES[measure]().to(self.device.torch_device), limit=_distortion_limit(measure, value))

    def encode_with_report(self, images: Tensor) -> EncodeReport:
        """Compress uint8 [N, 3, S, S] RGB to N `.gr` files; the report says what was chosen."""
        if self.curve is not None and self.target_bytes is not None:
            return self.report(*self.encode_curve(images, self.curve)[self.target_bytes])
        return self.report(*self.choose(images))

    @staticmethod
    def report(blobs: list[bytes], choices: Sequence[Choice]) -> EncodeReport:
        """Return files and what was chosen for each as a report."""
        return EncodeReport(blobs, choices=[choice.columns() for choice in choices], remarks=list(map(str, choices)))

    def choose(self, images: Tensor) -> tuple[list[bytes], list[Choice]]:
        """Compress uint8 [N, 3, S, S] RGB to N `.gr` files; returns them and what was chosen for each."""
        check_images(images, self.image_size)
        if not len(images):
            return [], []
        z = self.reverse(images)
        found = [self._controller(levels, images, z, self.target).run() for levels in self._tried(self.target)]
        best = [min(each, key=lambda one: one.rank) for each in zip(*found, strict=True)]
        return [one.blob for one in best], [self._choice(one, self.target) for one in best]

    def encode_curve(self, images: Tensor, sizes: Sequence[int]) -> dict[int, tuple[list[bytes], list[Choice]]]:
        """Compress pictures to several sizes, for a curve: what a file of one size found begins that of the next.

        Where a larger file would be worse, the smaller one is kept.

        Args:
            images: uint8 [N, 3, S, S] RGB.
            sizes: in bytes.

        Returns:
            By size, N `.gr` files and what was chosen for each.
        """
        check_images(images, self.image_size)
        if not sizes or min(sizes) < _SMALLEST:
            raise ValueError(f"a curve needs sizes of at least {_SMALLEST} bytes, got {list(sizes)}")
        if not len(images):
            return {size: ([], []) for size in sizes}
        z = self.reverse(images)
        controllers: dict[Levels, RateController] = {}
        curve: dict[int, tuple[list[bytes], list[Choice]]] = {}
        last: list[Found] = []
        for size in sorted(set(sizes)):
            target = Target(size)
            found: list[list[Found]] = []
            for levels in self._tried(target):
                if levels in controllers:
                    found.append(controllers[levels].go_on(size))
                else:
                    controllers[levels] = self._controller(levels, images, z, target)
                    found.append(controllers[levels].run())
            best = [min(each, key=lambda one: one.rank) for each in zip(*found, strict=True)]
            last = [
                replace(old, ratio=len(old.blob) / size) if _is_better(old, new) else new
                for old, new in zip(last or best, best, strict=True)
            ]
            curve[size] = [one.blob for one in last], [self._choice(one, target) for one in last]
        return curve

    def _tried(self, target: Target) -> list[Levels]:
        """Return with which latents to search."""
        if "all" not in self.searches:
            return ["z"]
        if target.num_bytes is None:
            return ["z", "all"]
        return ["z"] if target.num_bytes < _GRID_FROM else ["all"]

    def _controller(self, levels: Levels, images: Tensor, z: Tensor, target: Target) -> RateController:
        return RateController(self.searches[levels], images, z, target, self.seed, self.budgets[levels])

    def _choice(self, found: Found, target: Target) -> Choice:
        exhausted = target.num_bytes is not None and found.exhausted and len(found.blob) < target.num_bytes
        # A quality is reached by more of it, too, and few bytes by one less.
        enough = found.hit or target.num_bytes is None or target.num_bytes - len(found.blob) == 1
        return Choice(
            num_bytes=len(found.blob),
            levels="all" if container.read(found.blob).has_grid else "z",
            lmbda=found.lmbda,
            step_size=found.step_size,
            hit=found.ratio <= 1 and enough,
            target=str(self.quality) if target.num_bytes is None else f"{target.num_bytes} bytes",
            exhausted=exhausted,
        )

    def reverse(self, images: Tensor) -> Tensor:
        """Return z of the best lane of each uint8 picture [N, 3, S, S], float32 [N, latent_dim]."""
        lanes = reverse_pictures(self.renderer, self.loss, images, self.seed, self.reversal)
        return lanes.z[lanes.best(self.search.distortions(lanes.z, lanes.images))]


def _suited(reversal: Reversal, generator: Generator) -> Reversal:
    """Return a reversal; the default one where it would start at a linear map that the generator has not."""
    if reversal.init == "prior" or generator.has_linear_map:
        return reversal
    _logger.warning(
        "%s has no linear map to start a reversal at: automatic mode takes reversal=default",
        type(generator).__name__,
    )
    return Reversal(restarts=reversal.restarts, clip=reversal.clip)


def _is_better(old: Found, new: Found) -> bool:
    """Return whether a file of a smaller size serves better than one that was searched for a larger."""
    return not old.rank[0] and (new.rank[0] or old.loss < new.loss)


def _distortion_limit(measure: str, quality: float) -> float:
    """Return the most distortion that a quality allows, by the measure's loss."""
    return 1 - quality if measure == "ssim" else 4 / 10 ** (quality / 10)
