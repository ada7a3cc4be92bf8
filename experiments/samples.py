"""`ganrev realism --real faces.tar [WEIGHTS ...]`: how real do a generator's samples look?

Prints, for other real faces, for these redrawn by the generator, and for samples from each of its priors, the share in
which a detector finds a face, the share that a perceptual hash takes for a training face, and sliced Wasserstein
distances to real faces (1000 times, as usual) on each level of the Laplacian pyramid, by its side in pixels.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ganrev.contamination.hashes import SAME_PHOTOGRAPH, all_hashes_paths, load_hashes
from ganrev.data.corpus import load_corpus
from ganrev.evaluation.realism import share_of_faces, sliced_wasserstein
from ganrev.generator.base import DrawnFrom, Generator
from ganrev.generator.embedded import load_embedded
from ganrev.pixels import to_images, to_x
from ganrev.progress import ProgressBar


@torch.no_grad()
def draw(generator: Generator, num_samples: int, seed: int, prior: DrawnFrom = "cube") -> Tensor:
    """Return uint8 [num_samples, 3, S, S] from one of the generator's priors."""
    return _drawn(generator, generator.sample(num_samples, torch.Generator().manual_seed(seed), prior))


def _drawn(generator: Generator, z: Tensor) -> Tensor:
    return torch.cat([to_images(generator(part)) for part in ProgressBar(z.split(8), desc="drawing", leave=False)])


@torch.no_grad()
def redraw(generator: Generator, faces: Tensor) -> Tensor:
    """Return uint8 [N, 3, S, S] faces as the generator draws them at once, by the inverse of its linear map."""
    return _drawn(generator, torch.cat([generator.invert_linear_map(to_x(part)) for part in faces.split(16)]))


def share_of_training_faces(images: Tensor, card: Path) -> float:
    """Return the share of pictures that the hashes beside a card take for a face trained on; NaN without hashes."""
    hashes = [load_hashes(path) for path in all_hashes_paths(card)]
    if not hashes:
        return float("nan")
    alike = np.stack([[row.max() for row in each.similarities(images)] for each in hashes])
    return float((alike.max(axis=0) >= SAME_PHOTOGRAPH).mean())


def measure(sets: dict[str, Tensor], real: Tensor, seed: int, cards: dict[str, Path] | None = None) -> pd.DataFrame:
    """Return a line for each set of pictures: sliced Wasserstein distances to `real`, and shares.

    Args:
        sets: uint8 [N, 3, S, S] by name.
        real: faces to compare with, of the same shape.
        seed: of the projections.
        cards: of the generators that drew some sets: how many of these pictures look like a face trained on?
    """
    lines = []
    for name, images in sets.items():
        distances = sliced_wasserstein(real, images, seed)
        line: dict[str, object] = {"pictures": name, "n": len(images), "faces": share_of_faces(images)}
        if cards:
            line["trained on"] = share_of_training_faces(images, cards[name]) if name in cards else float("nan")
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
    cards: dict[str, Path] = {}
    files: Sequence[Path | None] = weights or [None]
    for path in files:
        generator, name = load_embedded(path, unseen_scale=1.0), "shipped" if path is None else path.stem
        sets[f"{name}, redrawn"] = redraw(generator, others)
        drawn = {f"{name}, cube": draw(generator, num_pictures, seed)}
        if generator.face_prior is not None:
            drawn[f"{name}, faces"] = draw(generator, num_pictures, seed, "faces")
        cards |= dict.fromkeys(drawn, generator.card) if generator.card is not None else {}
        sets |= drawn
    print(measure(sets, chosen, seed, cards).to_string(index=False, float_format="%.3g"))
