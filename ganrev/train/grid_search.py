"""Symbols of training faces, searched while the generator learns to draw them.

A generator that is trained on an encoder's proposals is good at proposals; what a file holds is found by descent, and
lies elsewhere. So some faces are kept in hand: at each visit their symbols move a few passes on towards a low
D + lambda R through stochastic rounding, as `quant=rd` finds them, and the generator learns from where they are.
"""

import copy
import math
from dataclasses import dataclass, field

import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from ganrev.coding.quantiser import step_size_for
from ganrev.generator.embedded import EmbeddedNetwork
from ganrev.generator.grid import LappedGrid
from ganrev.generator.grid_prior import laplace_bits
from ganrev.pixels import to_x
from ganrev.reversal.losses import MSE, SSIM
from ganrev.train.batches import batch_at, deblur

_SETTLE_LR = 0.2  # of z before the grid joins, in units of z
_BETAS = (0.8, 0.95)  # of Adam; the weights that ship were trained so


class MixedLoss(nn.Module):
    """Weighted MSE and 1 - SSIM over their curvature, so that a byte's price means the same for every mixture.

    Args:
        mse_weight: not negative.
        ssim_weight: not negative; one of the two is positive.
    """

    def __init__(self, mse_weight: float, ssim_weight: float) -> None:
        super().__init__()
        curvature = mse_weight * MSE.curvature + ssim_weight * SSIM.curvature
        terms = ((mse_weight / curvature, MSE()), (ssim_weight / curvature, SSIM()))
        self.weights = [weight for weight, _ in terms if weight]
        self.losses = nn.ModuleList(loss for weight, loss in terms if weight)

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        """Return the distortion [N] of x, [N, 3, H, W] in [-1, 1], against targets of the same shape."""
        terms = [weight * loss(x, target) for weight, loss in zip(self.weights, self.losses, strict=True)]
        return torch.stack(terms).sum(dim=0)


@dataclass(frozen=True)
class PricedFaces:
    """Training faces, each with what a byte of it may cost.

    Attributes:
        x: [N, 3, 128, 128] in [-1, 1].
        lmbda: loss of curvature 1 that a byte may cost, [N].
        step: of the quantiser that suits it, [N].
    """

    x: Tensor
    lmbda: Tensor
    step: Tensor

    def to(self, device: torch.device) -> "PricedFaces":
        """Return them on a device."""
        return PricedFaces(self.x.to(device), self.lmbda.to(device), self.step.to(device))


def priced_faces(cfg: DictConfig, images: Tensor, number: int, batch_size: int) -> PricedFaces:
    """Return a batch by its number: shuffled, mirrored and sharpened at random, with prices drawn log-uniformly.

    Args:
        cfg: the training's options.
        images: all faces, uint8 [M, 3, 128, 128].
        number: from 0; the same number means the same batch.
        batch_size: N.
    """
    chosen, flips = batch_at(len(images), batch_size, number, cfg.seed)
    rng = torch.Generator().manual_seed(cfg.seed * 7_919 + number)
    batch = images[chosen]
    x = to_x(torch.where(flips.view(-1, 1, 1, 1), batch.flip(-1), batch))
    strength = cfg.deblur_least + (cfg.deblur - cfg.deblur_least) * torch.rand(batch_size, generator=rng)
    low, high = math.log(cfg.grid.lmbda_least), math.log(cfg.grid.lmbda)
    lmbda = torch.exp(low + (high - low) * torch.rand(batch_size, generator=rng))
    step = torch.tensor([step_size_for(float(price), 1.0) for price in lmbda])
    return PricedFaces(deblur(x, strength).contiguous(memory_format=torch.channels_last), lmbda, step)


@dataclass
class InHand:
    """Faces whose symbols are being searched.

    Attributes:
        number: of their batch.
        faces: that batch.
        loss: by which they are searched and learnt from.
        symbols: of z and the grid, [N, D], not rounded.
        passes: that the search has taken.
        optimizer: of the symbols.
    """

    number: int
    faces: PricedFaces
    loss: nn.Module
    symbols: Tensor
    passes: int = 0
    optimizer: torch.optim.Adam = field(init=False)

    def __post_init__(self) -> None:
        self.symbols = self.symbols.detach().clone().requires_grad_(True)
        self.optimizer = torch.optim.Adam([self.symbols], betas=_BETAS)

    def state(self) -> dict[str, object]:
        """Return what a resumed run cannot work out by itself."""
        symbols, adam = self.symbols.detach(), self.optimizer.state_dict()
        return {"number": self.number, "symbols": symbols, "passes": self.passes, "adam": adam}


class LevelledLatents:
    """Symbols of z and a grid as one vector: what they are worth, what they cost and what they draw.

    Args:
        network: with a grid and the statistics of z's latents; trained or not.
    """

    def __init__(self, network: EmbeddedNetwork) -> None:
        self.network, self.grid = network, grid_of(network)
        weight, bias = network.linear.weight.detach(), network.linear.bias.detach()
        self.device = weight.device
        self.step_sizes = network.relative_step_sizes(network.num_latents("all")).to(self.device)
        self._z_deviations = network.latent_deviations.to(self.device)
        self._inverse, self._bias = torch.linalg.pinv(weight.double()).float(), bias
        small_weight, small_bias = network.thumbnail_map(self.grid.shape[-1])
        self._thumbnails = small_weight.float().T, small_bias.float()

    def propose_z(self, x: Tensor) -> Tensor:
        """Return the latents [N, 512] that the inverse of the linear map gives x [N, 3, 128, 128]."""
        small = nn.functional.interpolate(x, size=64, mode="area").flatten(1)
        return (small - self._bias) @ self._inverse.T

    def rounded_z(self, faces: PricedFaces, dead_zone: float = 0.6) -> Tensor:
        """Return whole symbols of `propose_z`, [N, 512], with a dead zone such as prices leave; no search."""
        symbols = self.propose_z(faces.x) / self.units(faces)[:, : self.network.latent_dim]
        return symbols.sign() * (symbols.abs() + 1 - dead_zone).floor()

    def units(self, faces: PricedFaces) -> Tensor:
        """Return what each symbol is worth in latents, [N, D]."""
        return faces.step[:, None] * self.step_sizes

    def with_empty_grid(self, z: Tensor) -> Tensor:
        """Return latents [N, D] of z [N, 512] alone, which the layers that know of the grid draw."""
        return torch.cat((z, z.new_zeros(len(z), self.grid.num_latents)), dim=1)

    def propose_grid(self, faces: PricedFaces, drawn: Tensor) -> Tensor:
        """Return symbols of the grid, not rounded, [N, G], for what z draws with an empty grid; differentiable."""
        proposed = self.grid.propose(faces.x - drawn, self.grid.log2_step(faces.step))
        return proposed / self.units(faces)[:, self.network.latent_dim :]

    def log2_deviations(self, symbols: Tensor, faces: PricedFaces) -> Tensor:
        """Return log2 of the standard deviation of each symbol under its prior, [N, D], given symbols [N, D]."""
        units, size = self.units(faces), self.network.latent_dim
        of_z = torch.log2(self._z_deviations / units[:, :size])
        weight, bias = self._thumbnails
        z = symbols[:, :size].detach() * units[:, :size]
        side = self.grid.shape[-1]
        thumbnails = (z @ weight + bias).view(-1, 3, side, side)
        grid = symbols[:, size:].unflatten(1, self.grid.shape)
        of_grid = self.grid.prior(grid, thumbnails, self.grid.log2_step(faces.step))
        return torch.cat((of_z, of_grid.flatten(1)), dim=1)

    def num_bytes(self, symbols: Tensor, faces: PricedFaces) -> Tensor:
        """Return the code length in bytes of whole symbols [N, D], [N]."""
        return laplace_bits(symbols, self.log2_deviations(symbols, faces)).sum(dim=1) / 8


def grid_of(network: EmbeddedNetwork) -> LappedGrid:
    """Return a network's grid; ValueError where it has none."""
    if not isinstance(network.grid, LappedGrid):
        raise ValueError("the grid can only be trained of a network that has one; add it with add_grid()")
    return network.grid


class GridSearch:
    """Searches for symbols with a frozen copy, in bfloat16, of a network that learns.

    Args:
        latents: of the network that learns.
        num_passes: after which a search is over: its rate and temperature fall until then.
        lr: of the symbols at first, in symbols.
    """

    def __init__(self, latents: LevelledLatents, num_passes: int, lr: float) -> None:
        self.latents, self.num_passes, self.lr = latents, num_passes, lr
        self.fast = copy.deepcopy(latents.network).requires_grad_(False).bfloat16()

    @torch.no_grad()
    def follow(self) -> None:
        """Take over what the network has learnt."""
        torch._foreach_copy_(list(grid_of(self.fast).parameters()), list(self.latents.grid.parameters()))

    def begin(self, number: int, faces: PricedFaces, loss: nn.Module, num_steps: int) -> InHand:
        """Let z settle by itself for some steps, and have the grid proposed from what it leaves."""
        latents = self.latents
        z = latents.propose_z(faces.x).requires_grad_(True)
        optimizer = torch.optim.Adam([z], lr=_SETTLE_LR, betas=(0.7, 0.9))
        for i in range(num_steps):
            optimizer.param_groups[0]["lr"] = _SETTLE_LR * (1 - 0.8 * i / num_steps)
            (z.grad,) = torch.autograd.grad(loss(self.fast(latents.with_empty_grid(z)), faces.x).sum(), z)
            optimizer.step()
        with torch.no_grad():
            grid = latents.propose_grid(faces, self.fast(latents.with_empty_grid(z)))
            symbols = z / latents.units(faces)[:, : z.shape[1]]
        return InHand(number, faces, loss, torch.cat((symbols, grid), dim=1))

    def move(self, held: InHand, num_passes: int, rng: torch.Generator) -> None:
        """Take some passes down D + lambda R through stochastic rounding, unless the search is over.

        Args:
            held: changed in place.
            num_passes: at most.
            rng: for the rounding.
        """
        faces, units = held.faces, self.latents.units(held.faces)
        for _ in range(min(num_passes, self.num_passes - held.passes)):
            progress = held.passes / self.num_passes
            held.optimizer.param_groups[0]["lr"] = self.lr * (1 - 0.9 * progress)
            floor, up = round_at_random(held.symbols, 0.5 * 0.02**progress, rng)
            widths = self.latents.log2_deviations(floor + up, faces)
            low, high = laplace_bits(floor, widths), laplace_bits(floor + 1, widths)
            num_bytes = (low + up * (high - low)).sum(dim=1) / 8
            cost = held.loss(self.fast((floor + up) * units), faces.x) + faces.lmbda * num_bytes
            (held.symbols.grad,) = torch.autograd.grad(cost.sum(), held.symbols)
            held.optimizer.step()
            held.passes += 1


def round_at_random(values: Tensor, temperature: float, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return values rounded down, and the soft choice in (0, 1) of going one up, differentiable in them.

    Source: Yang, Bamler and Mandt 2020 (stochastic Gumbel annealing); as in `ganrev.codecs.rounding`, but with the
    temperature in the softmax, too. That costs files of a size 9 %; the weights that ship were trained so.
    """
    floor = values.detach().floor()
    above = (values - floor).clamp(1e-4, 1 - 1e-4)
    logits = (torch.atanh(above) - torch.atanh(1 - above)) / temperature
    noise = torch.rand(values.shape, generator=rng).clamp(1e-6, 1 - 1e-6).to(values)
    return floor, torch.sigmoid((logits + torch.log(noise) - torch.log1p(-noise)) / max(temperature, 0.05))
