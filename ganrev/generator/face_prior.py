"""A density of faces over z, fitted to a trained generator's latents afterwards.

Real faces do not fill the cube that z is drawn from, so what most points of the cube draw is no clean face. A mixture
of normal laws over the leading latents, and a normal law of the rest given those, draws from where faces lie. Faces
differ in contrast and detail, so that their latents lie together nearer to a mean or farther from it than those of one
normal law: each sample's deviations are stretched by a factor of its own.

Sources: Ghosh et al. 2020, "From variational to deterministic autoencoders" (a density fitted afterwards);
Wainwright and Simoncelli 1999, "Scale mixtures of Gaussians and the statistics of natural images" (the factors).
"""

from dataclasses import dataclass, fields
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from ganrev.files import write_whole
from ganrev.generator.weights import file_digest, load_notes, load_tensors

_LARGEST_STRETCH = 8.0  # logarithm of a squared factor: for files that no fit wrote
_WEIGHTS = "weights"  # in the file, the SHA-256 of those that it was fitted to


@dataclass(frozen=True, eq=False)
class FacePrior:
    """A density over D latents: a mixture of K normal laws over some L of them, the other R given those.

    Attributes:
        leading: which latents the mixture is over, int64 [L].
        shares: of the K laws, positive float32 [K] that add up to 1.
        means: float32 [K, L].
        factors: lower triangles, float32 [K, L, L]; times their transpose, the covariances.
        slope: of the other latents' means by the leading ones, float32 [R, L].
        offset: float32 [R].
        rest_factor: lower triangle, float32 [R, R], of the other latents' covariance.
        stretch: mean and deviation of the logarithm of the squared factor that stretches a sample's leading latents
            from their law's mean, float32 [2].
        rest_stretch: the same for the other latents, whose mean follows the leading ones: its slope by these, its slope
            by their squares, its offset, and the deviation, float32 [2 L + 2].

    Raises:
        ValueError: shapes that do not belong together, or numbers that cannot be.
    """

    leading: Tensor
    shares: Tensor
    means: Tensor
    factors: Tensor
    slope: Tensor
    offset: Tensor
    rest_factor: Tensor
    stretch: Tensor
    rest_stretch: Tensor

    def __post_init__(self) -> None:
        num, few, rest = len(self.shares), len(self.leading), len(self.offset)
        shapes = [(few,), (num,), (num, few), (num, few, few), (rest, few), (rest,), (rest, rest), (2,), (2 * few + 2,)]
        found = [tuple(value.shape) for value in self.tensors.values()]
        if found != shapes or self.leading.dtype != torch.int64 or self.leading.unique().numel() != few:
            raise ValueError(f"these tensors make no density of latents: shapes {found}, expected {shapes}")
        if not num or not few:
            raise ValueError(f"a density of latents needs a law and a leading latent, got {num} and {few}")
        if int(self.leading.min()) < 0 or int(self.leading.max()) >= self.latent_dim:
            raise ValueError(f"the leading latents must be among {self.latent_dim}")
        if not all(bool(value.isfinite().all()) for value in self.tensors.values()):
            raise ValueError("a density of latents needs finite numbers")
        if float(self.shares.min()) < 0 or float(self.shares.sum()) <= 0:
            raise ValueError("the shares of a density's laws must not be negative, nor all be zero")

    @property
    def tensors(self) -> dict[str, Tensor]:
        """What is stored."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def latent_dim(self) -> int:
        """D."""
        return len(self.leading) + len(self.offset)

    def sample(self, num_samples: int, rng: torch.Generator) -> Tensor:
        """Draw latents, float32 [num_samples, D], on the CPU; one by one, so that none depends on their number."""
        others = torch.ones(self.latent_dim, dtype=torch.bool)
        others[self.leading] = False
        z = torch.empty(num_samples, self.latent_dim)
        for row in z:
            law = int(torch.multinomial(self.shares, 1, generator=rng))
            noise = torch.randn(self.latent_dim + 2, generator=rng)
            few = len(self.leading)
            farther = _stretch(self.stretch[0] + self.stretch[1] * noise[-2])
            leading = self.means[law] + farther * (self.factors[law] @ noise[:few])
            known = torch.cat([leading, leading.square(), torch.ones(1), noise[-1:]])
            farther = _stretch(self.rest_stretch @ known)
            row[self.leading] = leading
            row[others] = self.slope @ leading + self.offset + farther * (self.rest_factor @ noise[few:-2])
        return z


def _stretch(log_of_square: Tensor) -> Tensor:
    return (log_of_square.clamp(-_LARGEST_STRETCH, _LARGEST_STRETCH) / 2).exp()


def face_prior_path(weights: Path) -> Path:
    """Return where the density of faces lies: `<name>.prior.safetensors` beside the weights."""
    return weights.with_name(f"{weights.stem}.prior.safetensors")


def save_face_prior(prior: FacePrior, weights: Path) -> Path:
    """Write the density beside the weights that it was fitted to, in float16, with their SHA-256; returns its path."""
    path = face_prior_path(weights)
    tensors = {name: (v if name == "leading" else v.half()).contiguous() for name, v in prior.tensors.items()}
    write_whole(path, safetensors.torch.save(tensors, {_WEIGHTS: file_digest(weights)}))
    return path


def weights_of(path: Path) -> str:
    """Return the SHA-256 of the weights that a stored density was fitted to; empty where its file does not say.

    Raises:
        ValueError: the file is missing or damaged.
    """
    return load_notes(path).get(_WEIGHTS, "")


def load_face_prior(path: Path) -> FacePrior:
    """Read what `save_face_prior` wrote.

    Raises:
        ValueError: the file is missing or damaged, or of another kind.
    """
    tensors = load_tensors(path)
    try:
        return FacePrior(**{name: (v if name == "leading" else v.float()) for name, v in tensors.items()})
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} is no density of faces ({error})") from error
