"""GAN reversal that is given a size or a quality and chooses all other settings by itself."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from ganrev.codecs.base import EncodeReport, check_images
from ganrev.codecs.latent_codec import LatentCodec
from ganrev.codecs.rate_control import Candidate, RateBudget, RateController
from ganrev.coding.backends import Range
from ganrev.configuration.options import Count, Positive, Several, Whole, checked_options
from ganrev.generator.base import Generator
from ganrev.progress import ProgressBar
from ganrev.reversal.descent import Descent, PictureLoss, check_converged
from ganrev.reversal.device import Device
from ganrev.reversal.halving import Rung, outranked
from ganrev.reversal.losses import MSE, SSIM
from ganrev.reversal.reversing import lane_rng

_JUDGES: dict[str, type[nn.Module]] = {"ssim": SSIM, "psnr": MSE}
_LIMITS = {"ssim": (0.0, 1.0), "psnr": (5.0, 60.0)}
_BETAS = (0.7, 0.9)  # of Adam
_SMALLEST = 16  # bytes: header, width, and hardly any payload

FileSize = Annotated[Whole, Field(ge=_SMALLEST, description=f"a whole number of at least {_SMALLEST}")]
LearningRates = Annotated[
    list[Positive], Several, Field(min_length=1, description="a list of at least one positive learning rate")
]


@dataclass(frozen=True)
class Budget:
    """How much automatic mode computes.

    Attributes:
        num_steps: of the descent.
        rungs: pairs of a number of steps and n: after those steps one lane in n of those that began goes on, at least
            one; after the last step a single one.
        rate_control: of the search for symbols that follows.
    """

    num_steps: int = 100
    rungs: Sequence[tuple[int, int]] = ((10, 2), (30, 8))
    rate_control: RateBudget = field(default_factory=RateBudget)


@dataclass(frozen=True)
class Choice:
    """What was chosen for one picture.

    Attributes:
        num_bytes: of the file.
        measure: `ssim` or `psnr`, what the lanes were judged by.
        quality: of the decoded picture in that measure.
        loss: name of the loss of the lane that was kept.
        lr: its learning rate.
        restart: its number among the starts of the picture.
        lmbda: lambda, the loss that one byte was allowed to cost.
        step_size: times each latent's own.
        hit: whether the target was reached.
        target: what was asked for, such as `250 bytes` or `ssim:0.72`.
        exhausted: whether the file is smaller than asked for because finer rounding would not be visible.
    """

    num_bytes: int
    measure: str
    quality: float
    loss: str
    lr: float
    restart: int
    lmbda: float
    step_size: float
    hit: bool
    target: str
    exhausted: bool

    def __str__(self) -> str:
        reason = "z has no use for more bytes" if self.exhausted else "that is as near as it came"
        missed = "" if self.hit else f"; missed {self.target}: {reason}"
        return (
            f"chose loss {self.loss}, learning rate {self.lr:g}, start {self.restart}, "
            f"{self.lmbda:.2g} of loss per byte, step {self.step_size:.3g}{missed}"
        )

    def columns(self) -> dict[str, object]:
        """Return what a run's rows keep of it, by the columns `chosen_…` without that prefix."""
        return {
            "loss": self.loss,
            "lr": self.lr,
            "restart": self.restart,
            "lmbda": self.lmbda,
            "step": self.step_size,
            "hit": self.hit,
        }


def parse_quality(quality: str) -> tuple[str, float]:
    """Split `ssim:0.72` or `psnr:25`; ValueError for anything else."""
    measure, _, text = str(quality).partition(":")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    low, high = _LIMITS.get(measure, (0.0, 0.0))
    if not low < value < high:
        raise ValueError(f"quality must be like ssim:0.72 (0 to 1) or psnr:25 (5 to 60 dB), got {quality!r}")
    return measure, value


class AutoCodec(LatentCodec):
    """Compresses a picture to a size, or to a quality in as few bytes as it can.

    Several lanes start for each picture, one for each loss, learning rate and restart; the worse ones are dropped early
    (`ganrev.reversal.halving`). Then symbols are searched for with a lambda that is changed until the target is hit, a
    size from below and a quality from above.

    Args:
        generator: frozen.
        losses: what lanes may descend, by name.
        lrs: learning rates that lanes may take.
        restarts: starts of each.
        target_bytes: size of the file; None where `quality` is given.
        quality: `ssim:0.72` or `psnr:25`; None where `target_bytes` is given.
        judge: `ssim` or `psnr`: what a size buys as much of as it can. A quality brings its own.
        device: where and how precisely to compute.
        seed: of the initial latents.
        budget: how much to compute.

    Raises:
        ValueError: not one of size and quality, or one that no file can have.
    """

    @checked_options("codec.")
    def __init__(
        self,
        generator: Generator,
        losses: Mapping[str, nn.Module],
        lrs: LearningRates,
        device: Device,
        target_bytes: FileSize | None = None,
        quality: str | None = None,
        judge: Literal["ssim", "psnr"] = "ssim",
        restarts: Count = 1,
        seed: int = 0,
        budget: Budget = Budget(),
    ) -> None:
        if (target_bytes is None) == (quality is None):
            raise ValueError("give one of target_bytes (codec.target_bytes=250) and quality (codec.quality=ssim:0.72)")
        if not losses:
            raise ValueError("codec.losses must name at least one loss, such as {mse: {_target_: ganrev.reversal.MSE}}")
        self.target_bytes = target_bytes
        self.measure: str = judge
        self.target_quality: float | None = None
        if quality is not None:
            self.measure, self.target_quality = parse_quality(quality)
        self.limit = _distortion_limit(self.measure, self.target_quality)
        super().__init__(generator, _JUDGES[self.measure](), Range("fitted"), True, device, seed)
        self.losses = {name: loss.to(device.torch_device) for name, loss in losses.items()}
        self.lanes = [(name, lr, r) for name in losses for lr in lrs for r in range(restarts)]
        self.budget = budget

    def encode_with_report(self, images: Tensor) -> EncodeReport:
        """Compress uint8 [N, 3, S, S] RGB to N `.gr` files; the report says what was chosen."""
        blobs, choices = self.choose(images)
        return EncodeReport(blobs, choices=[choice.columns() for choice in choices], remarks=list(map(str, choices)))

    def choose(self, images: Tensor) -> tuple[list[bytes], list[Choice]]:
        """Compress uint8 [N, 3, S, S] RGB to N `.gr` files; returns them and what was chosen for each."""
        check_images(images, self.image_size)
        if not len(images):
            return [], []
        z, lanes = self.reverse(images)
        controller = RateController(
            self.search, images, z, self.target_bytes, self.limit, self.seed, self.budget.rate_control
        )
        candidates = controller.run()
        choices = [self._choice(one, self.lanes[lane]) for one, lane in zip(candidates, lanes, strict=True)]
        return [candidate.blob for candidate in candidates], choices

    def _choice(self, found: Candidate, lane: tuple[str, float, int]) -> Choice:
        quality = 1 - found.distortion if self.measure == "ssim" else 10 * math.log10(4 / found.distortion)
        if self.target_bytes is None:
            target, exhausted = f"{self.measure}:{self.target_quality:g}", False
        else:
            target = f"{self.target_bytes} bytes"
            exhausted = found.search.lowest and len(found.blob) < self.target_bytes
        loss, lr, restart = lane
        return Choice(
            num_bytes=len(found.blob),
            measure=self.measure,
            quality=quality,
            loss=loss,
            lr=lr,
            restart=restart,
            lmbda=found.lmbda,
            step_size=found.step_size,
            hit=found.hit,
            target=target,
            exhausted=exhausted,
        )

    def reverse(self, images: Tensor) -> tuple[Tensor, list[int]]:
        """Return latents float32 [N, D] of uint8 pictures [N, 3, S, S], and the lane that each came from."""
        found = self.device.in_parts(lambda part: self._reverse_part(images[part]), len(images))
        return torch.cat([z for z, _ in found]), [lane for _, lanes in found for lane in lanes]

    def _reverse_part(self, images: Tensor) -> tuple[Tensor, list[int]]:
        """Descend in every lane of a few pictures, and drop the worse lanes after each rung."""
        num_lanes, num_steps = len(self.lanes), self.budget.num_steps
        targets = self.renderer.targets(images)
        rungs = [Rung(steps, max(1, num_lanes // one_in)) for steps, one_in in self.budget.rungs]
        num_staying = {rung.num_steps: rung.num_lanes for rung in [*rungs, Rung(num_steps, 1)]}
        picture = torch.arange(len(images)).repeat_interleave(num_lanes).to(targets.device)
        descent = self._start(images, targets[picture])
        for step in ProgressBar(range(num_steps), desc="reversing", unit="step", leave=False, mininterval=0.5):
            descent.step(0.5 * (1 + math.cos(math.pi * step / num_steps)))
            stay = num_staying.get(descent.num_done)
            if stay is not None and stay * len(images) < len(descent.lanes):
                distortions = torch.full_like(descent.losses[:, 0], math.inf)
                distortions[descent.lanes] = self._distortions(
                    descent.z[descent.lanes], targets[picture[descent.lanes]]
                )
                distortions[descent.lost(self.generator.prior_std)] = math.inf
                descent.drop(outranked(distortions, descent.dropped, num_lanes, stay))
                descent.keep(~descent.dropped)
        lrs = ",".join(f"{lr:g}" for lr in dict.fromkeys(lr for _, lr, _ in self.lanes))
        lost = descent.lost(self.generator.prior_std)[descent.lanes]
        check_converged(lost.view(len(images), -1), f"codec.lrs=[{lrs}]")
        return descent.z[descent.lanes].cpu(), (descent.lanes % num_lanes).tolist()

    def _start(self, images: Tensor, targets: Tensor) -> Descent:
        """Return the descent of all lanes of uint8 pictures [N, 3, S, S], given the target x of each lane."""
        starts = [
            self.generator.sample_prior(1, lane_rng(self.seed, image, restart))
            for image in images
            for _, _, restart in self.lanes
        ]
        kinds = torch.tensor([list(self.losses).index(name) for name, _, _ in self.lanes]).repeat(len(images))
        rates = torch.tensor([lr for _, lr, _ in self.lanes], device=targets.device).repeat(len(images))
        return Descent(
            torch.cat(starts).to(targets.device),
            PictureLoss(self.renderer.fast_generator, list(self.losses.values()), targets, kinds),
            lambda moved: torch.optim.Adam([moved], lr=1.0, betas=_BETAS),
            self.budget.num_steps,
            rates=rates,
        )

    @torch.no_grad()
    def _distortions(self, z: Tensor, targets: Tensor) -> Tensor:
        """Return the distortion of each lane's picture, [M], never NaN; latents [M, D], x [M, 3, S, S]."""
        return self.loss(self.renderer.fast_generator(z), targets).float().nan_to_num(math.inf)


def _distortion_limit(measure: str, quality: float | None) -> float:
    """Return the most distortion that a quality allows, by the measure's loss; infinite without a quality."""
    if quality is None:
        return math.inf
    return 1 - quality if measure == "ssim" else 4 / 10 ** (quality / 10)
