"""`ganrev realism --real faces.tar [WEIGHTS ...]`: how real do a generator's samples look?

Prints, for other real faces and for samples, the share in which a detector finds a face, and sliced Wasserstein
distances to real faces (1000 times, as usual) on each level of the Laplacian pyramid, by its side in pixels.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch

from ganrev.data.corpus import load_corpus
from ganrev.evaluation.realism import share_of_faces, sliced_wasserstein
from ganrev.generator.base import Generator
from ganrev.generator.embedded import load_embedded
from ganrev.pixels import to_images
from ganrev.progress import ProgressBar


@torch.no_grad()
def draw(generator: Generator, num_samples: int, seed: int) -> torch.Tensor:
    """Return uint8 [num_samples, 3, S, S] from the generator's prior."""
    z = generator.sample_prior(num_samples, torch.Generator().manual_seed(seed))
    parts = [to_images(generator(part)) for part in ProgressBar(z.split(8), desc="drawing", leave=False)]
    return torch.cat(parts)


def measure(sets: dict[str, torch.Tensor], real: torch.Tensor, seed: int) -> pd.DataFrame:
    """Return a line for each set of pictures: sliced Wasserstein distances to `real`, and the share with a face."""
    lines = []
    for name, images in sets.items():
        distances = sliced_wasserstein(real, images, seed)
        line = {"pictures": name, "n": len(images), "faces": share_of_faces(images)}
        line |= {f"SWD {side}": distance for side, distance in distances.items()}
        lines.append(line | {"SWD mean": sum(distances.values()) / len(distances)})
    return pd.DataFrame(lines)


def compare(weights: Sequence[Path], real: Sequence[str], num_pictures: int, seed: int = 0) -> None:
    """Print the table of `measure`.

    Args:
        weights: safetensors of EmbeddedNetwork; none: the shipped ones.
        real: tar shards or folders of 128 x 128 faces, at least twice `num_pictures` of them.
        num_pictures: of each kind.
        seed: of the choice of faces, the samples and the projections.

    Raises:
        ValueError: a number below 1, or too few faces.
    """
    if num_pictures < 1:
        raise ValueError(f"-n must be at least 1, got {num_pictures}")
    _, faces = load_corpus(list(real))
    if len(faces) < 2 * num_pictures:
        raise ValueError(
            f"-n {num_pictures} needs twice as many real faces, half of them to show how near real faces come "
            f"to each other; got {len(faces)}"
        )
    order = torch.randperm(len(faces), generator=torch.Generator().manual_seed(seed))
    chosen, others = faces[order[:num_pictures]], faces[order[num_pictures : 2 * num_pictures]]
    sets = {"other real faces": others}
    files: Sequence[Path | None] = weights or [None]
    for path in files:
        name = "shipped" if path is None else path.stem
        sets[name] = draw(load_embedded(path, unseen_scale=1.0), num_pictures, seed)
    print(measure(sets, chosen, seed).to_string(index=False, float_format="%.3g"))
