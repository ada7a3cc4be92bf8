"""`ganrev face-prior --faces faces.tar`: a density of training faces' latents, written beside the weights.

scikit-learn fits the mixture (extra `train`); drawing from it needs nothing of it.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ganrev.data.corpus import load_corpus
from ganrev.generator.embedded import EmbeddedNetwork, load_embedded
from ganrev.generator.face_prior import FacePrior, save_face_prior
from ganrev.paths import weights_dir
from ganrev.pixels import to_x
from ganrev.progress import ProgressBar
from ganrev.wording import counted

NUM_LEADING = 128
NUM_LAWS = 16  # with 128 latents, a file of 0.92 MB
_REST_SCALE = 0.8  # of what the other latents vary by: smoother than faces, and nearer to them than noise
_RIDGE = 1e-3  # added to variances, of latents whose deviation is near one


@torch.no_grad()
def proposed_latents(network: EmbeddedNetwork, faces: Tensor) -> Tensor:
    """Return the least-squares inverse of the linear map, float32 [2 N, D], of uint8 faces and their mirror images.

    What `Generator.invert_linear_map` computes, for thousands of faces at once.
    """
    linear = network.linear
    side = round((linear.out_features / 3) ** 0.5)
    inverse = torch.linalg.pinv(linear.weight.double()).float()
    found = []
    for part in ProgressBar(faces.split(256), desc="inverting", leave=False):
        small = F.interpolate(to_x(part), size=side, mode="area")
        found += [F.linear(both.flatten(1) - linear.bias, inverse) for both in (small, small.flip(-1))]
    return torch.cat(found)


def fit(
    z: Tensor, effects: Tensor, num_leading: int = NUM_LEADING, num_laws: int = NUM_LAWS, seed: int = 0
) -> FacePrior:
    """Fit a density to latents of faces, float32 [N, D].

    Args:
        z: of the faces; more than D of them.
        effects: what each latent's deviation changes in the picture, float32 [D].
        num_leading: latents that the mixture is over, those of the largest effect.
        num_laws: of the mixture.
        seed: of its start.

    Raises:
        ValueError: scikit-learn is not installed, or there are too few faces or latents.
    """
    if find_spec("sklearn") is None:
        raise ValueError("fitting a density of faces needs scikit-learn: pip install 'ganrev[train]'")
    if not 1 <= num_leading < z.shape[1] or len(z) <= z.shape[1]:
        raise ValueError(
            f"a density needs more faces than the {z.shape[1]} latents, and fewer leading ones than these; got "
            f"{len(z)} latent vectors, two of each face, and {num_leading} leading latents"
        )
    from sklearn.mixture import GaussianMixture

    values = z.double().numpy()
    order = np.argsort(-effects.numpy(), kind="stable")
    leading, rest = np.sort(order[:num_leading]), np.sort(order[num_leading:])
    few, others = values[:, leading], values[:, rest]
    mixture = GaussianMixture(num_laws, reg_covar=_RIDGE, random_state=seed, max_iter=100, tol=1e-2).fit(few)
    # The other latents: a normal law around a linear function of the leading ones.
    ones = np.column_stack([few, np.ones(len(few))])
    slope = np.linalg.lstsq(ones, others, rcond=None)[0]
    residual = others - ones @ slope
    covariance = residual.T @ residual / len(residual) + _RIDGE * np.eye(len(rest))
    factor, rest_factor = np.linalg.cholesky(mixture.covariances_), np.linalg.cholesky(covariance)
    whitened = _whitened(few, mixture.predict(few), mixture.means_, factor)
    stretch = _logarithms(whitened)
    # A sum of L squares of normal numbers varies by itself: its logarithm's variance is 2 / L.
    own = [stretch.mean(), np.sqrt(max(stretch.var() - 2 / num_leading, 0))]
    known = np.column_stack([few, few**2, np.ones(len(few))])
    rest_stretch = _logarithms(np.linalg.solve(rest_factor, residual.T).T)
    by_leading = np.linalg.lstsq(known, rest_stretch, rcond=None)[0]
    left = max((rest_stretch - known @ by_leading).var() - 2 / len(rest), 0)
    parts = [mixture.weights_, mixture.means_, factor, slope[:-1].T, slope[-1], _REST_SCALE * rest_factor]
    parts += [np.array(own), np.append(by_leading, np.sqrt(left))]
    tensors = [torch.from_numpy(np.ascontiguousarray(part)).float() for part in parts]
    return FacePrior(torch.from_numpy(leading), *tensors)


def _whitened(values: np.ndarray, laws: np.ndarray, means: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Return deviations [N, L] from the mean of each row's law, as normal numbers would be that its factor mixed."""
    found = np.empty_like(values)
    for law in range(len(means)):
        of_it = laws == law
        found[of_it] = np.linalg.solve(factors[law], (values[of_it] - means[law]).T).T
    return found


def _logarithms(whitened: np.ndarray) -> np.ndarray:
    """Return the logarithm of each row's mean square, [N]."""
    return np.log((whitened**2).mean(axis=1) + 1e-12)


def write_face_prior(weights: Path | None, faces: Sequence[str], num_leading: int, num_laws: int, seed: int) -> None:
    """Fit a density to training faces and write it beside stored weights.

    Args:
        weights: safetensors of EmbeddedNetwork; None: the shipped ones.
        faces: tar shards or folders of the faces.
        num_leading: as for `fit`.
        num_laws: as for `fit`.
        seed: as for `fit`.
    """
    weights = weights or weights_dir() / "embedded.safetensors"
    _, images = load_corpus(list(faces))
    network = load_embedded(weights, unseen_scale=1.0)
    z = proposed_latents(network, images)
    effects = network.linear.weight.norm(dim=0) * z.std(dim=0)
    path = save_face_prior(fit(z, effects, num_leading, num_laws, seed), weights)
    laws, over = counted(num_laws, "normal law"), counted(num_leading, "latent")
    print(f"{path}: {laws} over {over}, of {counted(len(images), 'face')} and their mirror images")
