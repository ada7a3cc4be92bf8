"""`ganrev train train.faces=[shard.tar] train.valid=folder`: train the embedded generator.

First z, then the grid of latents beyond it. A killed run goes on where it stopped, by the same command. Milestones stay
beside the final weights, without cards: `pca.safetensors`, principal components alone, where training starts unless it
is given weights (`train.start`); `reconstruction.safetensors`, the generator that the adversary joins; and
`z.safetensors`, the generator without its grid.
"""

import json
import shutil
import time
from pathlib import Path

import hydra
import torch
from omegaconf import DictConfig
from torch import Tensor

from ganrev.data.corpus import load_corpus
from ganrev.errors import plain_errors
from ganrev.files import write_whole
from ganrev.generator.embedded import LATENT_DIM, latents_path, load_embedded, save
from ganrev.generator.weights import load_checkpoint
from ganrev.paths import config_dir, user_path
from ganrev.pixels import to_grid, to_images, to_png, to_x
from ganrev.progress import ProgressBar
from ganrev.terminal import print_anything
from ganrev.train.batches import batch_at
from ganrev.train.card import known_faces, publish
from ganrev.train.checks import check, check_validation, claim
from ganrev.train.folder import check_finite, log_row, store
from ganrev.train.grid_stage import train_grid
from ganrev.train.latents import write_table
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
        weights.grid = None  # it is trained anew, for the new z
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


def train_z(cfg: DictConfig, training: Training, images: Tensor, valid: Tensor) -> None:
    """Train z to `cfg.steps`, scoring, logging and checkpointing on the way; uint8 faces [N, 3, 128, 128]."""
    out = Path(cfg.out)
    bar = ProgressBar(total=cfg.steps, initial=training.step, desc="z", unit="step", mininterval=10)
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
            check_finite(terms, training.step)
            scores = validation_scores(training, valid)
            log_row(out / "log.csv", "z", {"step": training.step, "seconds": training.seconds} | terms | scores)
            save_grid(training, valid, out / "grid.png")
            store(training.state(), out / "checkpoint.pt")
            bar.set_postfix(scores)
    bar.close()


def finish_z(cfg: DictConfig, training: Training | None, images: Tensor, valid: Tensor) -> tuple[Path, float]:
    """Train z and measure its table of latents; without a training, take what `cfg.start` has of both.

    Returns:
        The path of its weights, `z.safetensors`, with the table beside them, and the seconds that its steps took.
    """
    weights = Path(cfg.out) / "z.safetensors"
    if training is None:
        network = load_embedded(cfg.start, unseen_scale=1.0)
        network.grid = None
        save(network, weights)
        shutil.copyfile(latents_path(user_path(cfg.start)), latents_path(weights))
        return weights, 0.0
    train_z(cfg, training, images, valid)
    if not latents_path(weights).exists():  # it is written last
        write_table(save(training.average, weights), images, cfg.table_faces, cfg.nudged_faces)
    return weights, training.seconds


def train(cfg: DictConfig) -> Path:
    """Train z, then the grid; a killed run goes on where it stopped. Returns the weights' file."""
    check(cfg)
    if isinstance(cfg.faces, str):
        cfg.faces = [cfg.faces]
    names, images = load_corpus(list(cfg.faces))
    valid_names, valid = load_corpus([cfg.valid])
    # Find mistakes before anything is written or computed.
    batch_at(len(images), cfg.batch_size, 0, cfg.seed)
    check_validation(images, valid_names, valid)
    known_faces(cfg, names, valid_names)
    if cfg.grid.steps:
        batch_at(len(images), cfg.grid.batch_size, 0, cfg.seed, "train.grid.batch_size")
    # Begin, or go on from the last checkpoint.
    out = Path(cfg.out)
    out.mkdir(parents=True, exist_ok=True)
    settings = claim(cfg, out, images)
    training = prepare(cfg, out, images) if cfg.steps else None
    write_whole(out / "run.json", json.dumps(settings, indent=1).encode())
    z, seconds = finish_z(cfg, training, images, valid)
    if cfg.grid.steps:
        network, grid_seconds = train_grid(cfg, out, z, images, valid)
    else:
        network, grid_seconds = load_embedded(z, unseen_scale=1.0), 0.0
    hours = {"z": seconds / 3600, "grid": grid_seconds / 3600}
    weights = publish(cfg, network, z, (names, images), (valid_names, valid), hours)
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
