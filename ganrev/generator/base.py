"""What every generator offers."""

import math
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from ganrev.generator.face_prior import FacePrior
from ganrev.generator.grid import Grid

Levels = Literal["z", "all"]
Prior = Literal["uniform", "normal"]
DrawnFrom = Literal["cube", "faces"]


class Generator(nn.Module):
    """A frozen map from latents to pictures.

    Attributes:
        latent_dim: number of latents of z.
        grid: further latents, which follow those of z; None where there are none.
        image_size: side of the square picture, in pixels.
        prior: `uniform` (U[-1, 1]) or `normal` (N(0, 1)), the distribution of each latent.
        unseen_scale: factor on z before rounding when the picture was not drawn by the generator itself; it
            puts the unit step of `quant=extreme` on the paper's scale (latents of about -15 to 15).
        digest: SHA-256 of the weights, hexadecimal; fills the file's fingerprint and the run's identity.
        face_prior: a density of faces over z, fitted afterwards; None where there is none.
        no_face_prior: why there is none, where there is more to say than that.
        caveat: what a reader of its scores must know, for the notes under a table; may be empty.
        card: the model card, JSON, that lists the CelebA pictures trained on; None if there is none.
    """

    latent_dim: int
    image_size: int
    prior: Prior = "uniform"
    unseen_scale: float = 1.0
    digest: str = ""
    card: Path | None = None
    grid: Grid | None
    face_prior: FacePrior | None = None
    no_face_prior: str = ""
    caveat: str = ""
    _deviations: Tensor | None = None
    _step_sizes: Tensor | None = None

    def __init__(self) -> None:
        super().__init__()
        self.grid = None

    def forward(self, latents: Tensor) -> Tensor:
        """Draw pictures.

        Args:
            latents: float [N, latent_dim], z alone; where there is a grid also [N, num_latents("all")], z and the grid
                after it. A grid of zeros need not draw what z draws alone.

        Returns:
            x, float32 [N, 3, image_size, image_size], nominally in [-1, 1] and not clamped: the gradient of a
            pixel that overshoots must survive. Callers clamp when they make uint8 of it.
        """
        raise NotImplementedError

    def num_latents(self, levels: Levels) -> int:
        """Return how many latents some levels have: `z` alone, or `all`.

        Raises:
            ValueError: all are asked for, and there is none beyond z.
        """
        if levels == "z":
            return self.latent_dim
        if self.grid is None:
            raise ValueError(
                f"{type(self).__name__} has no latents beyond z; take latent=z (codec.latent=z in automatic mode)"
            )
        return self.latent_dim + self.grid.num_latents

    def relative_step_sizes(self, num_latents: int) -> Tensor:
        """Return what multiplies a file's step size for each latent, float32 [D] of z, or [D + G] with the grid."""
        if num_latents == self.latent_dim or self.grid is None:
            return self.latent_step_sizes
        of_grid = (1 / self.grid.unit_step.cpu()).expand(self.grid.num_latents)
        return torch.cat((self.latent_step_sizes, of_grid))

    def thumbnail_map(self, side: int) -> tuple[Tensor, Tensor]:
        """Return the linear map from z to a small picture of what it draws, for the prior of a grid.

        Returns:
            Weight [3 * side * side, latent_dim] and bias [3 * side * side], float64, the same on every machine.
        """
        raise NotImplementedError

    def sample_prior(self, num_samples: int, rng: torch.Generator) -> Tensor:
        """Draw latents from the prior, float32 [num_samples, latent_dim], on the CPU for any device."""
        shape = (num_samples, self.latent_dim)
        if self.prior == "normal":
            return torch.randn(shape, generator=rng)
        return torch.rand(shape, generator=rng) * 2 - 1

    def sample(self, num_samples: int, rng: torch.Generator, drawn_from: DrawnFrom = "cube") -> Tensor:
        """Draw latents from the prior that the generator was trained with, `cube`, or from its density of faces.

        Returns:
            float32 [num_samples, latent_dim], on the CPU for any device.

        Raises:
            ValueError: there is no density of faces.
        """
        if drawn_from == "cube":
            return self.sample_prior(num_samples, rng)
        if self.face_prior is None:
            reason = f"these weights of {type(self).__name__} have no density of faces beside them"
            raise ValueError(
                f"{self.no_face_prior or reason}; take data.prior=cube (or no --prior), or fit one by "
                "`ganrev face-prior`"
            )
        return self.face_prior.sample(num_samples, rng)

    @property
    def has_linear_map(self) -> bool:
        """Whether `invert_linear_map` can be called."""
        return type(self).invert_linear_map is not Generator.invert_linear_map

    def invert_linear_map(self, x: Tensor) -> Tensor:
        """Guess the latents of pictures at little cost, for `reversal.init=linear`.

        Args:
            x: float [N, 3, image_size, image_size] in [-1, 1].

        Returns:
            float32 [N, latent_dim].

        Raises:
            ValueError: this generator has no linear map.
        """
        raise ValueError(f"{type(self).__name__} has no linear map to invert; take reversal.init=prior")

    @property
    def latent_deviations(self) -> Tensor:
        """How widely each latent spreads over faces, float32 [latent_dim]: as in the prior, unless measured."""
        return torch.full((self.latent_dim,), self.prior_std) if self._deviations is None else self._deviations

    @property
    def latent_step_sizes(self) -> Tensor:
        """How far each latent must move for the picture to change by one unit of distortion, float32 [latent_dim].

        `quant=scaled` rounds each latent with a step size proportional to it; all ones, unless measured.
        """
        return torch.ones(self.latent_dim) if self._step_sizes is None else self._step_sizes

    def set_latent_statistics(self, deviations: Tensor, step_sizes: Tensor) -> None:
        """Set what was measured on training faces, positive float32 [latent_dim] each; ValueError for anything else."""
        for name, value in (("deviations", deviations), ("step sizes", step_sizes)):
            usable = value.shape == (self.latent_dim,) and bool((value.isfinite() & (value > 0)).all())
            if not usable:
                raise ValueError(f"{name} of latents must be {self.latent_dim} positive numbers, got {value}")
        self._deviations, self._step_sizes = deviations.float(), step_sizes.float()

    @property
    def prior_std(self) -> float:
        """Standard deviation of one latent under the prior."""
        return 1.0 if self.prior == "normal" else 1 / math.sqrt(3)

    def freeze(self) -> "Generator":
        """Switch to evaluation mode and switch gradients of weights off; returns self."""
        return self.eval().requires_grad_(False)
