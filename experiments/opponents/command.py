"""Trains the learned codecs, one after the other. A killed training goes on where it stopped, by the same command."""

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import Tensor

from baselines.learned.codec import LearnedCodec, load_autoencoder, load_encoder, load_hyperprior
from baselines.learned.model import Kind
from experiments.opponents.publishing import (
    fit_codes,
    round_weights,
    save_model,
    sharpened,
    write_faces_card,
    write_model_card,
)
from experiments.opponents.training import RECIPES, Recipe, Training, make_model
from ganrev.configuration.options import Count, check_option
from ganrev.data.corpus import load_corpus
from ganrev.generator.base import Generator
from ganrev.generator.embedded import load_embedded
from ganrev.generator.weights import load_checkpoint
from ganrev.progress import ProgressBar
from ganrev.train.batches import batch_at
from ganrev.train.checks import check_validation
from ganrev.train.folder import add_row, store

_SAVE_EVERY = 200
_MEASURED = 500  # training faces whose symbols are counted
_COLUMNS = ("step", "seconds", "cost", "mse", "ssim", "bytes")


def train_one(kind: Kind, recipe: Recipe, faces: Tensor, generator: Generator, out: Path) -> Training:
    """Train one model to its last step, logging and keeping checkpoints in `<out>/<kind>/` on the way.

    Raises:
        ValueError: the folder holds a checkpoint of another recipe, or the losses are no longer finite.
    """
    folder = out / kind
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / "checkpoint.pt"
    torch.manual_seed(recipe.seed)
    model = make_model(kind, generator)
    if recipe.start is not None:
        begun = out / recipe.start / "checkpoint.pt"
        if not begun.is_file():
            raise ValueError(f"{kind} goes on from {recipe.start}, but there is no {begun}; train that first")
        model.load_state_dict(load_checkpoint(begun)["average"])
    training = Training(model, recipe, faces)
    if checkpoint.exists():
        state = load_checkpoint(checkpoint)
        if (before := state.pop("recipe")) != (now := _plain(recipe)):
            raise ValueError(f"{folder} holds a training of another recipe, {before}, not {now}; give another --out")
        training.load(state)
    bar = ProgressBar(total=recipe.steps, initial=training.step, desc=kind, unit="step", mininterval=10)
    began, sums = time.perf_counter() - training.seconds, dict.fromkeys(_COLUMNS[2:], 0.0)
    while training.step < recipe.steps:
        chosen, flips = batch_at(len(faces), recipe.batch_size, training.step, recipe.seed)
        batch = faces[chosen]
        terms = training.advance(torch.where(flips.view(-1, 1, 1, 1), batch.flip(-1), batch))
        sums = {name: sums[name] + value for name, value in terms.items()}
        bar.update()
        if training.step % _SAVE_EVERY == 0 or training.step == recipe.steps:
            training.seconds = time.perf_counter() - began
            means = {name: value / ((training.step - 1) % _SAVE_EVERY + 1) for name, value in sums.items()}
            if not all(map(math.isfinite, means.values())):
                raise ValueError(f"the losses are no longer finite at step {training.step}: {means}; take a lower rate")
            row = {"step": training.step, "seconds": round(training.seconds, 5)}
            row |= {name: round(value, 5) for name, value in means.items()}
            add_row(folder / "log.csv", _COLUMNS, row, lambda old: int(old["step"]) < training.step)
            store(training.state() | {"recipe": _plain(recipe)}, checkpoint)
            bar.set_postfix(means)
            sums = dict.fromkeys(sums, 0.0)
    bar.close()
    return training


def _plain(recipe: Recipe) -> dict[str, object]:
    return asdict(recipe) | {"deblur": list(recipe.deblur)}


def train_all(
    faces: Sequence[str],
    valid: str,
    manifest: Path | None,
    out: Path,
    only: Sequence[str] = (),
    num_steps: int | None = None,
) -> None:
    """Train models and publish each: weights and card in `out`, beside one card of the faces.

    Args:
        faces: tar shards or folders of 128 x 128 training faces.
        valid: folder or shard of others, for the scores in the cards.
        manifest: CSV of the people on the faces; None where it is unknown who they are.
        out: folder of all that is written.
        only: kinds of models; empty for all.
        num_steps: of each training; None for the recipe's.

    Raises:
        ValueError: there is no such kind, faces are missing, or validation faces are trained on.
    """
    recipes = _chosen(only, num_steps)
    names, images = load_corpus(faces)
    valid_names, others = load_corpus([valid])
    check_validation(images, valid_names, others)
    generator = load_embedded()
    out.mkdir(parents=True, exist_ok=True)
    write_faces_card(out, (names, images), valid_names, manifest)
    measured = sharpened(images[torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:_MEASURED]])
    for kind, recipe in recipes.items():
        training = train_one(kind, recipe, images, generator, out)
        model = make_model(kind, generator)
        model.load_state_dict(training.average.state_dict())
        round_weights(model)
        fit_codes(model, measured)
        path = save_model(model, out / f"{kind}.safetensors")
        write_model_card(kind, recipe, load_learned(kind, path, generator), path, faces, sharpened(others), training)
        print(f"{path} and its card {path.with_suffix('.json')}", flush=True)


def load_learned(kind: Kind, path: Path, generator: Generator) -> LearnedCodec:
    """Return the codec of one model."""
    if kind == "autoencoder":
        return load_autoencoder(path)
    return load_hyperprior(path) if kind == "hyperprior" else load_encoder(generator, path, kind == "adversarial")


def _chosen(only: Sequence[str], num_steps: int | None) -> dict[Kind, Recipe]:
    """Return the recipes asked for, in an order in which each finds what it starts from."""
    unknown = [kind for kind in only if kind not in RECIPES]
    if unknown:
        raise ValueError(f"there is no learned opponent {unknown[0]!r}; choose among {', '.join(RECIPES)}")
    if num_steps is not None:
        check_option(Count, "--steps", num_steps)
    return {
        kind: recipe if num_steps is None else replace(recipe, steps=num_steps)
        for kind, recipe in RECIPES.items()
        if not only or kind in only
    }
