"""`python -m experiments.samples --real faces.tar [WEIGHTS ...]`: how real do a generator's samples look?

Prints, for other real faces and for samples, the share in which a detector finds a face, and sliced Wasserstein
distances to real faces (1000 times, as usual) on each level of the Laplacian pyramid, by its side in pixels.
"""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch
from tqdm import tqdm

from ganrev.data.corpus import load_corpus
from ganrev.errors import plain_errors
from ganrev.generator.base import Generator
from ganrev.generator.embedded import load
from ganrev.pixels import to_images
from ganrev.realism import share_of_faces, sliced_wasserstein


@torch.no_grad()
def draw(generator: Generator, num_samples: int, seed: int) -> torch.Tensor:
    """Return uint8 [num_samples, 3, S, S] from the generator's prior."""
    z = generator.sample_prior(num_samples, torch.Generator().manual_seed(seed))
    parts = [to_images(generator(part)) for part in tqdm(z.split(8), desc="drawing", leave=False)]
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


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table; a user's mistake prints one line and exits with 2."""
    parser = argparse.ArgumentParser(prog="python -m experiments.samples", description=__doc__)
    parser.add_argument("weights", nargs="*", type=Path, help="safetensors of EmbeddedNetwork; none: the shipped ones")
    parser.add_argument("--real", nargs="+", required=True, help="tar shards or folders of 128 x 128 faces")
    parser.add_argument("-n", type=int, default=1000, help="pictures of each kind (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    with plain_errors():
        if arguments.n < 1:
            raise ValueError(f"-n must be at least 1, got {arguments.n}")
        _, faces = load_corpus(arguments.real)
        if len(faces) < 2 * arguments.n:
            raise ValueError(
                f"-n {arguments.n} needs twice as many real faces, half of them to show how near real faces come "
                f"to each other; got {len(faces)}"
            )
        order = torch.randperm(len(faces), generator=torch.Generator().manual_seed(arguments.seed))
        real, others = faces[order[: arguments.n]], faces[order[arguments.n : 2 * arguments.n]]
        sets = {"other real faces": others}
        for path in arguments.weights or [None]:
            sets["shipped" if path is None else path.stem] = draw(
                load(path, unseen_scale=1.0), arguments.n, arguments.seed
            )
        print(measure(sets, real, arguments.seed).to_string(index=False, float_format="%.3g"))


if __name__ == "__main__":
    main()
