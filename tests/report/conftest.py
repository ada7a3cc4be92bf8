"""Runs over pictures that a generator drew."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from ganrev.evaluation import metrics, stages
from ganrev.evaluation.decoding import decode_folder
from ganrev.evaluation.runner import run
from ganrev.pixels import to_images, to_pillow
from tests.tiny import OVERRIDES, TinyGenerator, compose_config

NUM_DRAWN = 6
SCHEMES = {
    "jpeg1": ["codec=jpeg", "codec.quality=1"],
    "jpeg10": ["codec=jpeg", "codec.quality=10"],
    "kmeans": ["codec=kmeans", "codec.k=4"],
    "png": ["codec=png"],
    "gan": [*OVERRIDES, "+generator.size=128"],
}


@dataclass(frozen=True)
class Stored:
    """Folders of runs by scheme, and of the pictures that they are on."""

    runs: dict[str, Path]
    drawings: Path

    def of(self, *schemes: str) -> list[Path]:
        return [self.runs[scheme] for scheme in schemes]


@torch.no_grad()
def draw(folder: Path, count: int, seed: int = 0) -> None:
    """Write pictures of 128 x 128 that the tiny generator draws, `drawn0.png` and so on."""
    folder.mkdir()
    generator = TinyGenerator(size=128)
    z = generator.sample_prior(count, torch.Generator().manual_seed(seed))
    for number, image in enumerate(to_images(generator(z))):
        to_pillow(image).save(folder / f"drawn{number}.png")


def make_runs(root: Path, drawings: Path, schemes: Sequence[str]) -> dict[str, Path]:
    """Run some schemes over a folder of pictures."""
    data = ["data=folder", f"data.root={drawings}", "data.crop=none", f"out={root}/runs"]
    with pytest.MonkeyPatch.context() as patch:  # neither another process nor ST-LPIPS is tested here
        patch.setattr(stages, "decode_all", decode_folder)
        patch.setattr(metrics, "stlpips", lambda images, decoded: None)
        return {scheme: run(compose_config(*SCHEMES[scheme], *data)) for scheme in schemes}


@pytest.fixture(scope="session")
def stored(tmp_path_factory) -> Stored:
    """A run of each scheme."""
    root = tmp_path_factory.mktemp("report")
    draw(root / "drawings", NUM_DRAWN)
    return Stored(make_runs(root, root / "drawings", list(SCHEMES)), root / "drawings")


@pytest.fixture(scope="session")
def others(tmp_path_factory) -> Stored:
    """Runs on other pictures of the same names, and one more."""
    root = tmp_path_factory.mktemp("others")
    draw(root / "drawings", NUM_DRAWN + 1, seed=1)
    return Stored(make_runs(root, root / "drawings", ["jpeg1", "png"]), root / "drawings")
