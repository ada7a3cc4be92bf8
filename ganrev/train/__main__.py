"""`ganrev train train.faces=[shard.tar] train.valid=folder`: train the embedded generator.

A killed run goes on where it stopped, by the same command. Two milestones stay beside the final weights:
`pca.safetensors`, principal components alone, where training starts unless it is given weights (`train.start`), and
`reconstruction.safetensors`, the generator that the adversary joins. They have no card.
"""

import csv
import io
import json
import math
import time
from pathlib import Path

import hydra
import torch
from omegaconf import DictConfig
from torch import Tensor

from ganrev.data.corpus import load_corpus
from ganrev.errors import plain_errors
from ganrev.files import open_whole, write_whole
from ganrev.generator.embedded import LATENT_DIM, load_embedded, save
from ganrev.generator.weights import load_checkpoint
from ganrev.paths import config_dir
from ganrev.pixels import to_grid, to_images, to_png, to_x
from ganrev.progress import ProgressBar
from ganrev.terminal import print_anything
from ganrev.train.batches import batch_at
from ganrev.train.card import known_faces, publish
from ganrev.train.checks import check, check_validation, claim
from ganrev.train.networks import components_of, principal_components
from ganrev.train.training import Training


@torch.no_grad()
def validation_scores(training: Training, images: Tensor) -> dict[str, float]:
    """Return SSIM and PSNR of faces redrawn from the encoder's proposal, with averaged weights."""
    ssim, mse = [], []
    for part in images.split(16):
        x = to_x(part.to(training.device))
        with torch.autocast(training.device.type, dtype=torch.bfloat16):
            drawn = training.average(training.encoder_average(x)).clamp(-1, 1)
        ssim.append(1 - training.ssim(drawn, x))
        mse.append(training.mse(drawn, x))
    psnr = 10 * torch.log10(4 / torch.cat(mse))
    return {"valid_ssim": float(torch.cat(ssim).mean()), "valid_psnr": float(psnr.mean())}


@torch.no_grad()
def save_grid(training: Training, images: Tensor, path: Path) -> None:
    """Write three rows of up to eight pictures: faces, redrawn faces, samples from the prior."""
    x = to_x(images[:8].to(training.device))
    z = training.network.sample_prior(len(x), torch.Generator().manual_seed(1)).to(training.device)
    drawn = torch.cat([x, training.average(training.encoder_average(x)), training.average(z)])
    write_whole(path, to_png(to_grid(to_images(drawn).cpu(), columns=len(x))))


def prepare(cfg: DictConfig, out: Path, images: Tensor) -> Training:
    """Build a fresh run or resume from the last checkpoint; without a start, writes the linear milestone."""
    checkpoint, saved = out / "checkpoint.pt", out / "components.pt"
    if cfg.start is not None:
        weights = load_embedded(cfg.start, unseen_scale=1.0)
        training = Training(cfg, components_of(weights.linear))
        training.start_from(weights)
    else:
        if not saved.exists():
            print("fitting principal components", flush=True)
            store(principal_components(images, LATENT_DIM, 64, cfg.seed), saved)
        training = Training(cfg, torch.load(saved, weights_only=True))
        save(training.average, out / "pca.safetensors")
    if checkpoint.exists():
        training.load(load_checkpoint(checkpoint))
        print(f"resuming at step {training.step}", flush=True)
    return training


def store(content: object, path: Path) -> None:
    """Write a file for torch.load; it never exists half-written."""
    with open_whole(path) as file:
        torch.save(content, file)


def log_row(path: Path, row: dict[str, float]) -> None:
    """Add a row to the CSV file, and remove rows of the same or a later step, written before a kill."""
    fields = [
        "step",
        "seconds",
        "mse",
        "ssim",
        "perceptual",
        "adversary",
        "samples",
        "discriminator",
        "valid_ssim",
        "valid_psnr",
    ]
    rows = []
    if path.exists():
        with path.open(newline="", encoding="utf-8") as file:
            rows = [old for old in csv.DictReader(file) if int(old["step"]) < row["step"]]
    text = io.StringIO()
    writer = csv.DictWriter(text, fields, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows([*rows, {key: round(value, 5) for key, value in row.items()}])
    write_whole(path, text.getvalue().encode())


def train(cfg: DictConfig) -> Path:
    """Train to `cfg.steps`, scoring, logging and checkpointing on the way; returns the weights' file."""
    check(cfg)
    if isinstance(cfg.faces, str):
        cfg.faces = [cfg.faces]
    names, images = load_corpus(list(cfg.faces))
    valid_names, valid = load_corpus([cfg.valid])
    # Find mistakes before anything is written or computed.
    batch_at(len(images), cfg.batch_size, 0, cfg.seed)
    check_validation(images, valid_names, valid)
    known_faces(cfg, names, valid_names)
    # Begin, or go on from the last checkpoint.
    out = Path(cfg.out)
    out.mkdir(parents=True, exist_ok=True)
    settings = claim(cfg, out, images)
    training = prepare(cfg, out, images)
    write_whole(out / "run.json", json.dumps(settings, indent=1).encode())
    bar = ProgressBar(total=cfg.steps, initial=training.step, unit="step", mininterval=10)
    began = time.perf_counter() - training.seconds
    reconstruction = out / "reconstruction.safetensors"
    while training.step < cfg.steps:
        # Only at this step: weights of a later one are no longer those that the adversary joined.
        if training.step == training.joins_at and not reconstruction.exists():
            save(training.average, reconstruction)
        chosen, flips = batch_at(len(images), cfg.batch_size, training.step, cfg.seed)
        batch = images[chosen]
        batch = torch.where(flips.view(-1, 1, 1, 1), batch.flip(-1), batch)
        terms = training.advance(batch)
        bar.update()
        if training.step % cfg.score_every == 0 or training.step == cfg.steps:
            training.seconds = time.perf_counter() - began
            if not all(map(math.isfinite, terms.values())):
                raise ValueError(
                    f"the losses are no longer finite at step {training.step}: {terms}. The checkpoint before is kept; "
                    "begin again with a lower rate, in another train.out"
                )
            scores = validation_scores(training, valid)
            log_row(out / "log.csv", {"step": training.step, "seconds": training.seconds} | terms | scores)
            save_grid(training, valid, out / "grid.png")
            store(training.state(), out / "checkpoint.pt")
            bar.set_postfix(scores)
    bar.close()
    weights = publish(cfg, training.average, (names, images), (valid_names, valid), training.seconds)
    print(f"{weights} and its card {weights.with_suffix('.json')}", flush=True)
    return weights


@hydra.main(config_path=str(config_dir()), config_name="train", version_base="1.3")
def main(cfg: DictConfig) -> None:
    """Command line; a user's mistake prints one line and exits with 2."""
    print_anything()
    with plain_errors():
        train(cfg.train)


if __name__ == "__main__":
    main()
