"""GAN reversal without a person in the loop: asked for a size or a quality, it chooses everything else."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from tqdm import tqdm

from ganrev.codec import check_images
from ganrev.device import Device
from ganrev.entropy import Range
from ganrev.fitting import File, Fit
from ganrev.gan import GanCodec
from ganrev.generator.base import Generator
from ganrev.losses import MSE, SSIM
from ganrev.options import is_number, is_whole
from ganrev.pixels import to_x
from ganrev.quantise import RateDistortion
from ganrev.reversal import Reversal, keep_lanes, lane_rng

_JUDGES = {"ssim": SSIM, "psnr": MSE}
_LIMITS = {"ssim": (0.0, 1.0), "psnr": (5.0, 60.0)}
_RUNGS = ((10, 2), (20, 4), (70, 1))  # steps, then one lane in so many stays
_BETAS = (0.7, 0.9)  # of Adam
_SMALLEST = 16  # bytes: header, width, and next to nothing


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
        lmbda: the loss that a byte was allowed to cost.
        step: times each latent's own.
        hit: whether the target was reached.
        target: what was asked for, such as `250 bytes` or `ssim:0.72`.
        exhausted: whether fewer bytes than asked for are all that z can use: finer rounding would show nowhere.
    """

    num_bytes: int
    measure: str
    quality: float
    loss: str
    lr: float
    restart: int
    lmbda: float
    step: float
    hit: bool
    target: str
    exhausted: bool

    def __str__(self) -> str:
        reason = "z has no use for more bytes" if self.exhausted else "that is as near as it came"
        missed = "" if self.hit else f"; missed {self.target}: {reason}"
        return (
            f"chose loss {self.loss}, learning rate {self.lr:g}, start {self.restart}, "
            f"{self.lmbda:.2g} of loss a byte, step {self.step:.3g}{missed}"
        )


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


class AutoCodec:
    """Compresses a picture to a size, or to a quality, in as few bytes as it can.

    Several lanes start for each picture, one for each loss, learning rate and restart; poor ones stop early and the
    steps go to the promising (successive halving: Jamieson and Talwalkar 2016). Then symbols are searched for under a
    price of bytes that is moved until the target is hit, a size from below and a quality from above.

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
        on_choice: called with a list of `Choice`, one a picture, after each `encode`.

    Raises:
        ValueError: not one of size and quality, or one that no file can have.
    """

    suffix = ".gr"

    def __init__(
        self,
        generator: Generator,
        losses: Mapping[str, nn.Module],
        lrs: Sequence[float],
        device: Device,
        target_bytes: int | None = None,
        quality: str | None = None,
        judge: str = "ssim",
        restarts: int = 1,
        seed: int = 0,
        on_choice: Callable[[list[Choice]], None] | None = None,
    ) -> None:
        if (target_bytes is None) == (quality is None):
            raise ValueError("give one of target_bytes (codec.target_bytes=250) and quality (codec.quality=ssim:0.72)")
        if target_bytes is not None and not (is_whole(target_bytes) and target_bytes >= _SMALLEST):
            raise ValueError(f"target_bytes must be a whole number of at least {_SMALLEST}, got {target_bytes!r}")
        if judge not in _JUDGES:
            raise ValueError(f"judge must be one of {', '.join(_JUDGES)}, got {judge!r}")
        if not (is_whole(restarts) and restarts >= 1):
            raise ValueError(f"restarts must be a whole number of at least 1, got {restarts!r}")
        if not (losses and lrs and all(is_number(lr) and lr > 0 for lr in lrs)):
            raise ValueError(f"give at least one loss and positive learning rates, got {list(losses)} and {lrs!r}")
        self.target_bytes = None if target_bytes is None else int(target_bytes)
        self.measure, self.target_quality = (judge, None) if quality is None else parse_quality(quality)
        self.limit = math.inf  # of the distortion
        if self.target_quality is not None:
            ssim = self.measure == "ssim"
            self.limit = 1 - self.target_quality if ssim else 4 / 10 ** (self.target_quality / 10)
        self.losses = {name: loss.to(device.torch_device) for name, loss in losses.items()}
        self.lanes = [(name, float(lr), r) for name in losses for lr in lrs for r in range(int(restarts))]
        self.codec = GanCodec(
            generator, _JUDGES[self.measure](), RateDistortion(1e-3), Range("fitted"), Reversal(), device, seed
        )
        self.device, self.seed, self.on_choice = device, self.codec.seed, on_choice
        self.generator, self.image_size, self.digest = self.codec.generator, generator.image_size, generator.digest

    @property
    def precision(self) -> str:
        """Name of the dtype of reversal; a part of the run's identity."""
        return self.device.precision

    def decode(self, blobs: list[bytes]) -> Tensor:
        """Draw uint8 [N, 3, S, S] RGB from `.gr` files; raises what `GanCodec.decode` does."""
        return self.codec.decode(blobs)

    def encode(self, images: Tensor) -> list[bytes]:
        """Compress uint8 [N, 3, S, S] RGB to N `.gr` files."""
        check_images(images, self.image_size)
        if not len(images):
            return []
        z, kept = self.reverse(images)
        files = Fit(self.codec, images, z, self.target_bytes, self.limit).run()
        if self.on_choice:
            self.on_choice([self._choice(file, self.lanes[lane]) for file, lane in zip(files, kept, strict=True)])
        return [file.blob for file in files]

    def _choice(self, file: File, lane: tuple[str, float, int]) -> Choice:
        quality = 1 - file.distortion if self.measure == "ssim" else 10 * math.log10(4 / file.distortion)
        sized = self.target_bytes is not None
        target = f"{self.target_bytes} bytes" if sized else f"{self.measure}:{self.target_quality:g}"
        exhausted = sized and file.price.lowest and len(file.blob) < self.target_bytes
        return Choice(len(file.blob), self.measure, quality, *lane, file.lmbda, file.step, file.hit, target, exhausted)

    def reverse(self, images: Tensor) -> tuple[Tensor, list[int]]:
        """Return latents float32 [N, D] of uint8 pictures [N, 3, S, S], and the lane that each came from."""
        found = self.device.in_parts(lambda part: self._halve(images[part]), len(images))
        return torch.cat([z for z, _ in found]), [lane for _, lanes in found for lane in lanes]

    def _halve(self, images: Tensor) -> tuple[Tensor, list[int]]:
        """Descend in every lane of a few pictures, dropping the poor after each rung."""
        targets = to_x(images.to(self.device.torch_device)).contiguous(memory_format=torch.channels_last)
        starts = [
            self.generator.sample_prior(1, lane_rng(self.seed, image, restart))
            for image in images
            for _, _, restart in self.lanes
        ]
        start = torch.cat(starts).to(targets.device)
        picture = torch.arange(len(images)).repeat_interleave(len(self.lanes))
        lane = torch.arange(len(self.lanes)).repeat(len(images))
        lrs = torch.tensor([self.lanes[i][1] for i in lane], device=targets.device)[:, None]
        moved = torch.zeros_like(start).requires_grad_(True)  # in units of each lane's rate: one Adam serves all
        optimizer = torch.optim.Adam([moved], lr=1.0, betas=_BETAS)
        total, done = sum(steps for steps, _ in _RUNGS), 0
        bar = tqdm(total=total, desc="reversing", unit="step", leave=False, mininterval=0.5)
        for steps, share in _RUNGS:
            for _ in range(steps):
                optimizer.param_groups[0]["lr"] = 0.5 * (1 + math.cos(math.pi * done / total))
                moved.grad = None
                x = self.codec.fast_generator(start + lrs * moved)
                self._lane_losses(x, targets[picture], lane).sum().backward()
                moved.grad.nan_to_num_(0, 0, 0)
                optimizer.step()
                done += 1
            bar.update(steps)
            kept = self._best(start + lrs * moved.detach(), targets, picture, share)
            start, lrs, picture, lane = start[kept], lrs[kept], picture[kept], lane[kept]
            moved, optimizer = keep_lanes(optimizer, moved, kept)
        bar.close()
        return (start + lrs * moved.detach()).cpu(), lane.tolist()

    def _lane_losses(self, x: Tensor, targets: Tensor, lane: Tensor) -> Tensor:
        """Return the loss of each lane's own kind, [L]."""
        losses = x.new_zeros(len(x))
        for name, loss in self.losses.items():
            mine = torch.tensor([self.lanes[i][0] == name for i in lane.tolist()], device=x.device).nonzero().flatten()
            if len(mine):
                losses = losses.index_put((mine,), loss(x[mine], targets[mine]))
        return losses

    @torch.no_grad()
    def _best(self, z: Tensor, targets: Tensor, picture: Tensor, share: int) -> Tensor:
        """Return the indices of the lanes that stay: of each picture one in `share`, and at least one."""
        verdict = self.codec.loss(self.codec.fast_generator(z), targets[picture]).nan_to_num(math.inf).cpu()
        per_picture = len(z) // len(targets)
        order = verdict.view(-1, per_picture).argsort(dim=1)[:, : max(1, per_picture // share)]
        return (order + torch.arange(len(targets))[:, None] * per_picture).flatten()
