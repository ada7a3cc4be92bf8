"""A grid of latents beyond z, which sharpens what z draws.

A symbol of the grid draws one atom of a lapped transform, learnt, and started at the principal components of what z
leaves of faces; the network is told what the atoms draw, and refines it. Without a grid z draws alone.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganrev.generator.grid_prior import GridPrior


class Grid(nn.Module):
    """What every grid offers.

    Attributes:
        shape: channels, height and width [C, S, S] of its latents.
        prior: how widely its symbols spread.
        unit_step: the step size of files (it multiplies z's own) at which a symbol is worth 1 in latents, float32 [].
    """

    shape: tuple[int, int, int]
    prior: GridPrior
    unit_step: Tensor

    def __init__(self, shape: tuple[int, int, int], prior: GridPrior, unit_step: float) -> None:
        super().__init__()
        self.shape, self.prior = shape, prior
        # Sixteen bits, like the step sizes of files: their ratio is told to the prior by their bits.
        self.register_buffer("unit_step", torch.tensor(unit_step).bfloat16().float())

    @property
    def num_latents(self) -> int:
        """How many latents it has."""
        channels, height, width = self.shape
        return channels * height * width

    def log2_step(self, step_sizes: Tensor) -> Tensor:
        """Return log2 of the grid's step size in units of its latents, [N], for step sizes of files [N]."""
        return torch.log2(step_sizes / self.unit_step)

    def propose(self, residual: Tensor, log2_step: Tensor) -> Tensor:
        """Guess the latents of a grid at little cost.

        Args:
            residual: pictures less what z draws of them with an empty grid, [N, 3, H, W].
            log2_step: see `log2_step`, [N].

        Returns:
            [N, C * S * S].
        """
        raise NotImplementedError


class Proposal(nn.Module):
    """Proposes a grid from what z leaves: the atoms' analysis and a small correction.

    Args:
        channels: C of the grid.
        kernel: side of an atom, in pixels.
        stride: pixels between neighbouring atoms.
        width: channels between the two convolutions of the correction.
    """

    def __init__(self, channels: int, kernel: int, stride: int, width: int = 64) -> None:
        super().__init__()
        self.stride, self.padding = stride, (kernel - stride) // 2
        self.analysis = nn.Parameter(torch.zeros(channels, 3, kernel, kernel))
        self.one = nn.Conv2d(channels + 1, width, 3, padding=1)
        self.two = nn.Conv2d(width, channels, 3, padding=1)
        nn.init.zeros_(self.two.weight)
        nn.init.zeros_(self.two.get_parameter("bias"))

    def forward(self, residual: Tensor, log2_step: Tensor) -> Tensor:
        """Return latents [N, C, S, S]; arguments as for `Grid.propose`."""
        found = F.conv2d(residual, self.analysis, stride=self.stride, padding=self.padding)
        told = log2_step.to(found)[:, None, None, None].expand(-1, 1, *found.shape[2:])
        return found + self.two(F.relu(self.one(torch.cat((found, told), 1))))


class LappedGrid(Grid):
    """The grid of the embedded generator: 48 atoms of 16 x 16 pixels at each of 16 x 16 places, 8 pixels apart.

    Args:
        late: copies of the network's layers from 32 x 32 on: these draw where there is a grid.
        features: channels of the network's features at 32, 64 and 128 pixels.
        unit_step: see `Grid`; here as chosen on validation faces.
    """

    CHANNELS, SIDE, KERNEL = 48, 16, 16
    STRIDE = 8
    WIDTH = 96  # of the branch that tells the features at 32 x 32

    def __init__(self, late: nn.ModuleDict, features: tuple[int, int, int], unit_step: float = 0.0257 / 1.1) -> None:
        channels, side = self.CHANNELS, self.SIDE
        super().__init__((channels, side, side), GridPrior(channels, side), unit_step)
        self.late = late
        self.atoms = nn.Parameter(torch.zeros(channels, 3, self.KERNEL, self.KERNEL))
        # Without biases: an empty grid changes nothing.
        self.tell1 = nn.Conv2d(channels, self.WIDTH, 3, padding=1, bias=False)
        self.tell2 = nn.Conv2d(self.WIDTH, 4 * features[0], 3, padding=1, bias=False)
        self.tell64 = nn.Conv2d(12, features[1], 3, padding=1, bias=False)
        self.tell128 = nn.Conv2d(3, features[2], 3, padding=1, bias=False)
        for conv in (self.tell2, self.tell64, self.tell128):
            nn.init.zeros_(conv.weight)  # training starts at the sum of both pictures
        nn.init.normal_(self.tell1.weight, std=(1 / (9 * channels)) ** 0.5)
        self.proposal = Proposal(channels, self.KERNEL, self.STRIDE)

    def draw(self, latents: Tensor) -> Tensor:
        """Return what the atoms draw by themselves, float32 [N, 3, 128, 128], of latents [N, C, S, S].

        By a matrix product for each picture, so that it comes out the same alone and in a batch.
        """
        atoms = self.atoms.float().flatten(1).T.expand(len(latents), -1, -1)
        patches = torch.bmm(atoms, latents.float().flatten(2))
        margin = (self.KERNEL - self.STRIDE) // 2
        return F.fold(patches, self.SIDE * self.STRIDE, self.KERNEL, stride=self.STRIDE, padding=margin)

    def tell32(self, latents: Tensor) -> Tensor:
        """Return what is added to the features at 32 x 32, for latents [N, C, S, S]."""
        told = self.tell2(F.leaky_relu(self.tell1(latents.contiguous(memory_format=torch.channels_last)), 0.2))
        return F.pixel_shuffle(told, 2)

    def tell_fine(self, drawn: Tensor) -> tuple[Tensor, Tensor]:
        """Return what is added to the features at 64 x 64 and at 128 x 128, for what the atoms draw."""
        at64 = F.pixel_unshuffle(drawn, 2).contiguous(memory_format=torch.channels_last)
        return self.tell64(at64), self.tell128(drawn.contiguous(memory_format=torch.channels_last))

    def propose(self, residual: Tensor, log2_step: Tensor) -> Tensor:
        return self.proposal(residual.to(self.atoms.dtype), log2_step).float().flatten(1)

    @torch.no_grad()
    def start_from_residuals(self, residuals: Tensor, seed: int = 0) -> None:
        """Start atoms and analysis at the principal components of 8 x 8 blocks of what z leaves, [N, 3, 128, 128]."""
        blocks = F.unfold(residuals, self.STRIDE, stride=self.STRIDE).transpose(1, 2).reshape(-1, 3 * self.STRIDE**2)
        chosen = torch.randperm(len(blocks), generator=torch.Generator().manual_seed(seed))[:40000]
        picked = blocks[chosen].double()
        _, vectors = torch.linalg.eigh(picked.T @ picked)
        basis = vectors.flip(1)[:, : self.CHANNELS].T.float()  # the widest first
        kernel = torch.zeros_like(self.atoms)
        margin = (self.KERNEL - self.STRIDE) // 2
        inner = slice(margin, margin + self.STRIDE)
        kernel[:, :, inner, inner] = basis.reshape(-1, 3, self.STRIDE, self.STRIDE)
        self.atoms.copy_(kernel)
        self.proposal.analysis.copy_(kernel)
