"""A generator and a codec small enough to test the harness without weights."""

import os
import time

import torch
import torch.nn.functional as F
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from torch import Tensor, nn

from ganrev.codecs.base import EncodeReport
from ganrev.codecs.gan import GanCodec
from ganrev.coding.backends import Bzip2
from ganrev.coding.quantiser import Quantiser
from ganrev.generator.base import Generator
from ganrev.generator.grid import Grid
from ganrev.generator.grid_prior import GridPrior
from ganrev.paths import config_dir
from ganrev.reversal.device import Device
from ganrev.reversal.losses import MSE
from ganrev.reversal.settings import Reversal
from ganrev.reversal.trace import Trace

# Hydra overrides that make any GAN run a matter of a second.
OVERRIDES = [
    "generator._target_=tests.tiny.TinyGenerator",
    "device=cpu",
    "device.dtype=float32",
    "loss=mse",
    "reversal.steps=20",
    "reversal.lr=0.2",
]


class TinyGenerator(Generator):
    """A fixed linear map from 16 latents to a smooth picture, then tanh."""

    latent_dim = 16
    digest = "0123456789abcdef" * 4
    card_scale = 4.0  # stands for the unseen_scale of a model card

    def __init__(
        self, path: str | None = None, unseen_scale: float | None = None, size: int = 32, digest: str | None = None
    ) -> None:
        """Take the keys of configs/generator/embedded.yaml, so that an override of `_target_` alone swaps it in."""
        super().__init__()
        self.unseen_scale = self.card_scale if unseen_scale is None else unseen_scale
        self.image_size, self.digest = size, digest or self.digest
        coarse = torch.randn(self.latent_dim, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * 0.5
        basis = F.interpolate(coarse, size=size, mode="bilinear")
        self.linear = nn.Linear(self.latent_dim, 3 * size**2, bias=False)
        self.linear.weight.data = basis.flatten(1).T.contiguous()

    def forward(self, z: Tensor) -> Tensor:
        # Row by row: a product of several rounds differently, and a search over symbols would show it.
        flat = torch.stack([self.linear(row) for row in z.to(self.linear.weight.dtype)])
        return torch.tanh(flat.float()).view(-1, 3, self.image_size, self.image_size)

    @torch.no_grad()
    def invert_linear_map(self, x: Tensor) -> Tensor:
        inverse = torch.linalg.pinv(self.linear.weight.float())
        return torch.stack([inverse @ picture for picture in x.flatten(1)])  # near: it knows of no tanh


class TinyGrid(Grid):
    """Six channels of 4 x 4 latents, each of which adds a smooth pattern at its place; proposed by projection."""

    def __init__(self, size: int = 32) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(3)
            super().__init__((6, 4, 4), GridPrior(6, 4, hidden=2), unit_step=0.25)
            for weight in self.prior.parameters():
                nn.init.normal_(weight, std=0.2)
        self.prior.round_weights()
        patterns = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(4))
        self.atoms = nn.Parameter(F.avg_pool2d(F.pad(patterns, (1, 1, 1, 1)), 3, 1))
        self.stride = size // 4

    def draw(self, latents: Tensor) -> Tensor:
        """Return what is added to pictures [N, 3, S, S] by latents [N, 96], place by place."""
        grid = latents.to(self.atoms.dtype).unflatten(1, self.shape)
        return torch.cat([F.conv_transpose2d(row[None], self.atoms, stride=self.stride) for row in grid]).float()

    def propose(self, residual: Tensor, log2_step: Tensor) -> Tensor:
        found = [F.conv2d(row[None].to(self.atoms.dtype), self.atoms, stride=self.stride) for row in residual]
        return (torch.cat(found) / self.atoms.float().square().sum((1, 2, 3))[:, None, None]).float().flatten(1)


class TinyGridGenerator(TinyGenerator):
    """The tiny generator with a grid of 96 latents beyond its 16; 32 pixels a side."""

    def __init__(self, path: str | None = None, unseen_scale: float | None = None, digest: str | None = None) -> None:
        super().__init__(path, unseen_scale, 32, digest)
        self.grid = TinyGrid()

    def forward(self, latents: Tensor) -> Tensor:
        drawn = super().forward(latents[:, : self.latent_dim])
        if latents.shape[1] == self.latent_dim:
            return drawn
        assert isinstance(self.grid, TinyGrid)
        return drawn + self.grid.draw(latents[:, self.latent_dim :])

    def thumbnail_map(self, side: int) -> tuple[Tensor, Tensor]:
        blocks = (3, side, self.image_size // side, side, self.image_size // side)
        weight = self.linear.weight.double().view(*blocks, self.latent_dim).mean(dim=(2, 4)).flatten(0, 2)
        return weight, torch.zeros(len(weight), dtype=torch.float64)


class FragileGenerator(TinyGenerator):
    """Draws nothing but NaN for latents whose first is negative: half of all lanes diverge."""

    def forward(self, z: Tensor) -> Tensor:
        broken = z[:, 0].float()[:, None, None, None] < 0
        return torch.where(broken, torch.nan, super().forward(z))


class RawCodec:
    """Stores pixels as they are; refuses pictures whose first pixel is pure red where `picky`."""

    suffix = ".raw"
    image_size = None

    def __init__(self, size: int = 32, picky: bool = False) -> None:
        self.size, self.picky = size, picky

    def encode(self, images: Tensor) -> list[bytes]:
        for image in images:
            if self.picky and image[:, 0, 0].tolist() == [255, 0, 0]:
                raise ValueError("a red corner")
        return [image.numpy().tobytes() for image in images]

    def decode(self, blobs: list[bytes]) -> Tensor:
        rows = [torch.frombuffer(bytearray(blob), dtype=torch.uint8) for blob in blobs]
        return torch.stack(rows).view(-1, 3, self.size, self.size)


class LoggedCodec(GanCodec):
    """Adds a line to the file $ENCODED for each batch that it begins, and takes its time."""

    def encode_with_report(self, images: Tensor) -> EncodeReport:
        with open(os.environ["ENCODED"], "a") as log:
            log.write(f"{len(images)}\n")
        time.sleep(0.1)
        return super().encode_with_report(images)


def tiny_codec(**changes: object) -> GanCodec:
    """Return a GAN codec over the tiny generator, any argument changed."""
    arguments = {
        "generator": TinyGenerator(),
        "loss": MSE(),
        "quant": Quantiser(1.0),
        "entropy": Bzip2(),
        "reversal": Reversal(lr=0.1, steps=20),
        "device": Device("cpu", "float32"),
    }
    return GanCodec(**(arguments | changes))


def smooth_images(num_images: int, size: int = 32, seed: int = 0) -> Tensor:
    """Return uint8 [N, 3, size, size]: smooth, coloured, with a little noise."""
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.rand(num_images, 3, 5, 5, generator=rng)
    smooth = F.interpolate(coarse, size=size, mode="bicubic", align_corners=True)
    noise = torch.randn(smooth.shape, generator=rng) * 0.01
    return ((smooth + noise).clamp(0, 1) * 255).round().to(torch.uint8)


def compose_config(*overrides: str) -> DictConfig:
    """Return `configs/config.yaml` with overrides, as Hydra would compose it for run.py."""
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return compose("config", overrides=list(overrides))


def compose_run(pictures_dir, out, *overrides):
    return compose_config(*OVERRIDES, "data=folder", f"data.root={pictures_dir}", f"out={out}", *overrides)


def traced(codec, images):
    """Compress pictures; returns their files and the trace."""
    report = codec.encode_with_report(images)
    return report.blobs, Trace(**{name: torch.from_numpy(array) for name, array in report.trace.items()})
