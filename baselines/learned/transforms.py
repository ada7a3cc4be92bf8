"""The transforms of the family: pictures of 128 x 128 pixels to features at 8 x 8 places, and back.

Faces are framed alike, so each stage learns what is usual at each of its places, and at 8 x 8 all places see each
other. A block transform beside the convolutions, which starts as principal components of 16 x 16 pixels, lets training
begin at a codec instead of at noise.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.learned.rates import NUM_KNOTS, Knots

IMAGE_SIZE = 128
SIDE = 8  # of the latents
BLOCK = IMAGE_SIZE // SIDE
_WIDTHS = (64, 128, 192)  # channels at 32, 16 and 8
_FINE = 24  # channels at 64
_HEADS = 8  # of channels at 8 x 8 whose places are mixed alike


def _act(h: Tensor) -> Tensor:
    return F.leaky_relu(h, 0.2)


def _down(channels_in: int, channels_out: int) -> nn.Module:
    return nn.Conv2d(channels_in, channels_out, 2, stride=2)


def _same(channels_in: int, channels_out: int) -> nn.Module:
    return nn.Conv2d(channels_in, channels_out, 3, padding=1)


def _up(channels_in: int, channels_out: int) -> nn.Module:
    return nn.ConvTranspose2d(channels_in, channels_out, 2, stride=2)


class Stage(nn.Module):
    """One convolution whose result the quality scales and shifts, then a residual one.

    Args:
        entry: the first convolution.
        channels: that it gives.
        side: of its result.
    """

    def __init__(self, entry: nn.Module, channels: int, side: int) -> None:
        super().__init__()
        self.entry, self.conv = entry, _same(channels, channels)
        self.told = Knots(torch.zeros(NUM_KNOTS, 2 * channels))
        self.place = nn.Parameter(torch.zeros(channels, side, side))

    def forward(self, h: Tensor, quality: Tensor) -> Tensor:
        scale, shift = self.told(quality)[:, :, None, None].chunk(2, dim=1)
        h = self.entry(h)
        h = _act(h * (1 + scale).to(h.dtype) + (shift + self.place).to(h.dtype))
        return _act(h + self.conv(h))


class Mixer(nn.Module):
    """Lets all places see each other: a residual linear map over them, the same for a few channels."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(0.01 * torch.randn(_HEADS, SIDE**2, SIDE**2))

    def forward(self, h: Tensor) -> Tensor:
        heads = h.flatten(2).unflatten(1, (_HEADS, -1))
        mixed = torch.matmul(heads, self.weight.to(h.dtype))
        return h + _act(mixed).flatten(1, 2).view_as(h)


class Features(nn.Module):
    """Features float [N, 192, 8, 8] of pictures [N, 3, 128, 128] less the mean face."""

    channels = _WIDTHS[-1]

    def __init__(self) -> None:
        super().__init__()
        first, second, third = _WIDTHS
        self.stages = nn.ModuleList(
            (
                Stage(_same(48, first), first, 32),
                Stage(_down(first, second), second, 16),
                Stage(_down(second, third), third, SIDE),
            )
        )
        self.mixer = Mixer()

    def forward(self, x: Tensor, quality: Tensor) -> Tensor:
        h = F.pixel_unshuffle(x, 4).contiguous(memory_format=torch.channels_last)
        for stage in self.stages:
            h = stage(h, quality)
        return self.mixer(h)


class Analysis(nn.Module):
    """Latents float32 [N, C, 8, 8] of pictures less the mean face."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.features = Features()
        self.out = nn.Conv2d(Features.channels, channels, 1)
        self.blocks = nn.Conv2d(3 * BLOCK**2, channels, 1, bias=False)
        nn.init.zeros_(self.out.get_parameter("weight"))
        nn.init.zeros_(self.out.get_parameter("bias"))

    def forward(self, x: Tensor, quality: Tensor) -> Tensor:
        return self.blocks(F.pixel_unshuffle(x, BLOCK)).float() + self.out(self.features(x, quality)).float()


class Synthesis(nn.Module):
    """Pictures float32 [N, 3, 128, 128], less the mean face, of latents [N, C, 8, 8]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        first, second, third = _WIDTHS
        self.entry = Stage(_same(channels, third), third, SIDE)
        self.mixer = Mixer()
        self.stages = nn.ModuleList(
            (
                Stage(_up(third, second), second, 16),
                Stage(_up(second, first), first, 32),
                Stage(_up(first, _FINE), _FINE, 64),
            )
        )
        self.out = _same(_FINE, 12)
        self.blocks = nn.Conv2d(channels, 3 * BLOCK**2, 1, bias=False)
        nn.init.zeros_(self.out.get_parameter("weight"))
        nn.init.zeros_(self.out.get_parameter("bias"))

    def forward(self, latents: Tensor, quality: Tensor) -> Tensor:
        latents = latents.contiguous(memory_format=torch.channels_last)
        h = self.mixer(self.entry(latents, quality))
        for stage in self.stages:
            h = stage(h, quality)
        drawn = F.pixel_shuffle(self.blocks(latents), BLOCK).float()
        return drawn + F.pixel_shuffle(self.out(h), 2).float()


@torch.no_grad()
def block_components(x: Tensor, num_components: int) -> tuple[Tensor, Tensor]:
    """Return principal components of blocks of 16 x 16 pixels: orthonormal rows [K, 768], and deviations [K].

    Args:
        x: pictures less the mean face, float [N, 3, 128, 128].
        num_components: K.
    """
    rows = F.pixel_unshuffle(x, BLOCK).permute(0, 2, 3, 1).flatten(0, 2)
    values, vectors = torch.linalg.eigh(rows.T @ rows / len(rows))
    order = values.argsort(descending=True)[:num_components]
    return vectors[:, order].T.contiguous(), values[order].clamp_min(1e-8).sqrt()
