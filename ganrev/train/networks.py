"""Parts that only training needs: principal components, an encoder and a discriminator."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ganrev.generator.embedded import EmbeddedNetwork
from ganrev.pixels import to_x


def principal_components(images: Tensor, num_components: int, side: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean [D], orthonormal basis [D, K] and standard deviations [K] of faces and their mirror images.

    Args:
        images: uint8 [N, 3, H, W].
        num_components: K.
        side: pictures are averaged down to this side first, so D = 3 * side * side.
        seed: of the randomised decomposition.

    Raises:
        ValueError: there are so few faces that they have no K components.
    """
    fewest = num_components // 2 + 1  # N faces and their mirror images, less the mean, span 2 N - 1 directions
    if len(images) < fewest:
        raise ValueError(f"{num_components} principal components need at least {fewest} faces, got {len(images)}")
    rows = torch.cat([F.interpolate(to_x(part), size=side, mode="area") for part in images.split(512)])
    rows = torch.cat((rows, rows.flip(-1))).flatten(1)
    mean = rows.mean(0)
    torch.manual_seed(seed)
    rows -= mean
    _, singular, basis = torch.svd_lowrank(rows, q=min(num_components + 64, *rows.shape), niter=3)
    std = singular / math.sqrt(rows.shape[0])
    return mean, basis[:, :num_components].contiguous(), std[:num_components].contiguous()


def start_from_components(
    network: EmbeddedNetwork, mean: Tensor, basis: Tensor, std: Tensor, spread: float = 1.0
) -> None:
    """Make the generator's linear map draw whitened principal components.

    Args:
        network: fresh.
        mean: [D].
        basis: orthonormal [D, K].
        std: [K], each component's standard deviation over faces.
        spread: standard deviation of a face's latents, in units of the prior's. Above 1 the prior draws nearer
            to the mean face than faces themselves lie, where samples are cleaner.
    """
    with torch.no_grad():
        network.linear.weight.copy_(basis * (std / (spread * network.prior_std)))
        network.linear.bias.copy_(mean)


def components_of(linear: nn.Linear) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean [D], directions [D, K] and lengths [K] of a linear map, to be used like principal components."""
    lengths = linear.weight.detach().norm(dim=0)
    return linear.bias.detach(), linear.weight.detach() / lengths, lengths


class Encoder(nn.Module):
    """Proposes a latent for a picture: its principal components plus a convolutional correction.

    It exists only while the generator is trained; compression never sees it.
    """

    def __init__(self, mean: Tensor, basis: Tensor, std: Tensor, latent_std: float, width: int = 48) -> None:
        super().__init__()
        self.mean: Tensor
        self.projection: Tensor
        self.register_buffer("mean", mean)
        self.register_buffer("projection", (basis / std * latent_std).T.contiguous())
        self.side = math.isqrt(mean.numel() // 3)
        widths = (3, width, 2 * width, 4 * width, 6 * width, 8 * width)
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 4, stride=2, padding=1) for a, b in pairwise(widths))
        self.correction = nn.Linear(widths[-1] * 4 * 4, basis.shape[1])
        nn.init.zeros_(self.correction.weight)
        nn.init.zeros_(self.correction.bias)

    @torch.no_grad()
    def set_to_inverse_of(self, linear: nn.Linear) -> None:
        """Make the proposal, without its correction, that of the inverse of a generator's linear map."""
        self.mean.copy_(linear.bias)
        self.projection.copy_(torch.linalg.pinv(linear.weight.double()).float())

    def forward(self, x: Tensor) -> Tensor:
        small = F.interpolate(x, size=self.side, mode="area").flatten(1).float()
        with torch.autocast(x.device.type, enabled=False):
            z = F.linear(small - self.mean, self.projection)
        h = x.contiguous(memory_format=torch.channels_last)
        for conv in self.convs:
            h = F.leaky_relu(conv(h), 0.2)
        return z + self.correction(h.flatten(1)).float()


class Discriminator(nn.Module):
    """Scores 8 x 8 overlapping regions and the whole picture; spectral norm in every layer."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        widths = (3, width, 2 * width, 4 * width, 8 * width)
        self.convs = nn.ModuleList(spectral_norm(nn.Conv2d(a, b, 4, stride=2, padding=1)) for a, b in pairwise(widths))
        self.region = spectral_norm(nn.Conv2d(widths[-1], 1, 3, padding=1))
        self.shrink = spectral_norm(nn.Conv2d(widths[-1], widths[-1], 4, stride=2, padding=1))
        self.whole = spectral_norm(nn.Linear(widths[-1] * 4 * 4, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = x.contiguous(memory_format=torch.channels_last)
        for conv in self.convs:
            h = F.leaky_relu(conv(h), 0.2)
        return self.region(h).float(), self.whole(F.leaky_relu(self.shrink(h), 0.2).flatten(1)).float()


def discriminator_loss(real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """Hinge loss over both outputs. Source: Miyato et al. 2018, equation 17."""
    terms = [F.relu(1 - r).mean() + F.relu(1 + f).mean() for r, f in zip(real, fake, strict=True)]
    return sum(terms, start=torch.zeros(()))


def generator_loss(fake: Sequence[Tensor]) -> Tensor:
    """Hinge generator loss over both outputs. Source: Miyato et al. 2018, equation 18."""
    return -sum([f.mean() for f in fake], start=torch.zeros(()))
