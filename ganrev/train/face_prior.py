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

NUM_LEADING = 96
NUM_LAWS = 10  # as Ghosh et al. 2020 took for CelebA
_RIDGE = 1e-4  # added to variances, of latents whose deviation is near one


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


def fit(z: Tensor, num_leading: int = NUM_LEADING, num_laws: int = NUM_LAWS, seed: int = 0) -> FacePrior:
    """Fit a density to latents of faces, float32 [N, D].

    Args:
        z: of the faces; more than D of them.
        num_leading: latents that the mixture is over, those that vary most.
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
            f"{len(z)} latent vectors and {num_leading} leading latents"
        )
    from sklearn.mixture import GaussianMixture

    values = z.double().numpy()
    order = np.argsort(-values.var(axis=0), kind="stable")
    leading, rest = np.sort(order[:num_leading]), np.sort(order[num_leading:])
    few, others = values[:, leading], values[:, rest]
    mixture = GaussianMixture(num_laws, reg_covar=_RIDGE, random_state=seed, max_iter=60, tol=1e-3).fit(few)
    # The other latents: a normal law around a linear function of the leading ones.
    ones = np.column_stack([few, np.ones(len(few))])
    slope = np.linalg.lstsq(ones, others, rcond=None)[0]
    residual = others - ones @ slope
    covariance = residual.T @ residual / len(residual) + _RIDGE * np.eye(len(rest))
    factors = np.linalg.cholesky(mixture.covariances_)
    parts = (mixture.weights_, mixture.means_, factors, slope[:-1].T, slope[-1], np.linalg.cholesky(covariance))
    return FacePrior(
        torch.from_numpy(leading), *(torch.from_numpy(np.ascontiguousarray(part)).float() for part in parts)
    )


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
    z = proposed_latents(load_embedded(weights, unseen_scale=1.0), images)
    path = save_face_prior(fit(z, num_leading, num_laws, seed), weights)
    print(f"{path}: {num_laws} normal laws over {num_leading} latents, of {len(images)} faces and their mirror images")
