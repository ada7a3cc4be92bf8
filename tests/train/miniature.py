"""The trainer in miniature: few steps, few faces, quick measuring."""

from contextlib import contextmanager

import pytest
from hydra import compose, initialize_config_dir

from ganrev.paths import config_dir
from ganrev.reversal.settings import Reversal
from ganrev.train import card, grid_scores, latents

NUM_FACES = 258  # 512 components need 257


def compose_training(*overrides):
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return compose("train", overrides=list(overrides))


class Killed(Exception):
    """Stands for SIGKILL: nothing catches it."""


STEPS = ["train.steps=4", "train.refine_from=0.25", "train.adversary_from=0.25", "train.score_every=2"]
SIZES = ["train.batch_size=2", "train.prior_batch=2", "train.perceptual_batch=1", "train.card_faces=1"]
SIZES += ["train.table_faces=1", "train.nudged_faces=1"]
GRID = ["steps=4", "linear_steps=2", "linear_faces=4", "batch_size=2", "slots=2", "visits=2", "proposals_every=2"]
GRID += ["settle_steps=1", "first_passes=1", "passes=1", "coarser=2", "card_faces=1"]


def configured(place, out):
    sources = [f"train.faces=[{place / 'shard.tar'},{place / 'more'}]", f"train.valid={place / 'valid'}"]
    kept = [f"train.manifest={place / 'manifest.csv'}", f"train.out={out}", "train.device=cpu", "train.lr=0.01"]
    grid = [f"train.grid.{option}" for option in GRID]
    return compose_training(*sources, *kept, *STEPS, *SIZES, *grid).train


@contextmanager
def quick_measuring():
    """Reverse in two steps instead of hundreds, and let a formula stand for hundreds of nudges."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(card, "Reversal", lambda: Reversal(steps=2))
        patch.setattr(latents, "_REVERSAL", Reversal(steps=2))
        patch.setattr(grid_scores, "_SETTLE_STEPS", 1)
        patch.setattr(grid_scores, "_NUM_PASSES", 1)
        patch.setattr(latents, "visibility", lambda generator, losses, z: 1 + z.square().mean(dim=0).expand(2, -1))
        yield patch
