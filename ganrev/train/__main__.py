"""`python -m ganrev.train train.faces=[shard.tar] train.valid=folder`: train the embedded generator.

A killed run goes on where it stopped, by the same command. Two milestones stay beside the final weights:
`pca.safetensors`, principal components alone, where training starts unless it is given weights (`train.start`), and
`reconstruction.safetensors`, the generator that the adversary joins.
"""

import csv
import time
from pathlib import Path

import hydra
import torch
from omegaconf import DictConfig, OmegaConf
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from ganrev.errors import plain_errors
from ganrev.generator.embedded import LATENT_DIM, load, save
from ganrev.options import is_whole
from ganrev.paths import config_dir
from ganrev.pixels import to_x
from ganrev.train.card import publish
from ganrev.train.corpus import batch_at, load_corpus
from ganrev.train.networks import principal_components
from ganrev.train.training import Training


@torch.no_grad()
def validation_scores(training: Training, images: Tensor) -> dict[str, float]:
    """SSIM and PSNR of faces redrawn from the encoder's proposal, with averaged weights."""
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
    """Three rows of up to eight: faces, redrawn faces, samples from the prior."""
    x = to_x(images[:8].to(training.device))
    z = training.network.sample_prior(len(x), torch.Generator().manual_seed(1)).to(training.device)
    rows = [x, training.average(training.encoder_average(x)), training.average(z)]
    grid = torch.cat([torch.cat(list(row.clamp(-1, 1)), dim=2) for row in rows], dim=1)
    pixels = ((grid + 1) * 127.5).round().byte().permute(1, 2, 0).cpu().numpy()
    Image.fromarray(pixels).save(path)


def check(cfg: DictConfig) -> None:
    """Raise ValueError for what would stop the training only after hours; makes whole numbers of 1e3 and the like."""
    missing = [f"train.{key}" for key in ("faces", "valid") if OmegaConf.is_missing(cfg, key)]
    if missing:
        raise ValueError(
            f"{' and '.join(missing)} not set: give train.faces=[shard.tar,folder], 128 x 128 faces to train on, and "
            "train.valid=folder, others to score on; "
            'with make: make generator ARGS="train.faces=[shard.tar] train.valid=folder"'
        )
    sizes = ("steps", "batch_size", "prior_batch", "perceptual_batch", "score_every")
    for key in (*sizes, "card_faces", "table_faces", "nudged_faces"):
        if not (is_whole(cfg[key]) and cfg[key] >= 1):
            raise ValueError(f"train.{key} must be a whole number of at least 1, got {cfg[key]!r}")
        cfg[key] = int(cfg[key])
    if not 0 <= cfg.refine_from <= cfg.adversary_from <= 1:
        raise ValueError(
            "train.refine_from and train.adversary_from must be shares of the steps, the first not above the second, "
            f"got {cfg.refine_from} and {cfg.adversary_from}"
        )
    if cfg.manifest and not Path(cfg.manifest).is_file():
        raise ValueError(f"train.manifest={cfg.manifest} is no file; give a CSV with celeba_id and identity, or null")
    if cfg.start is not None:
        load(cfg.start, unseen_scale=1.0)


def prepare(cfg: DictConfig, out: Path, images: Tensor) -> Training:
    """Build a fresh run or resume from the last checkpoint; writes the first milestone, the linear generator."""
    checkpoint, saved = out / "checkpoint.pt", out / "components.pt"
    if not saved.exists():
        print("fitting principal components", flush=True)
        store(principal_components(images, LATENT_DIM, 64, cfg.seed), saved)
    training = Training(cfg, torch.load(saved, weights_only=True))
    save(training.average, out / "pca.safetensors")
    if checkpoint.exists():
        training.load(torch.load(checkpoint, weights_only=True))
        print(f"resuming at step {training.step}", flush=True)
    else:
        (out / "reconstruction.safetensors").unlink(missing_ok=True)  # another run's
        if cfg.start is not None:
            training.start_from(load(cfg.start, unseen_scale=1.0))
    return training


def store(content: object, path: Path) -> None:
    """Write a file for torch.load, which never exists half-written."""
    partial = path.with_suffix(".partial")
    torch.save(content, partial)
    partial.replace(path)


def log_row(path: Path, row: dict[str, float]) -> None:
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
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, fields, restval="")
        if new:
            writer.writeheader()
        writer.writerow({k: round(v, 5) for k, v in row.items()})


def train(cfg: DictConfig) -> Path:
    """Train to `cfg.steps`, scoring, logging and checkpointing on the way; returns the weights' file."""
    check(cfg)
    if isinstance(cfg.faces, str):
        cfg.faces = [cfg.faces]
    names, images = load_corpus(list(cfg.faces))
    valid_names, valid = load_corpus([cfg.valid])
    out = Path(cfg.out)
    out.mkdir(parents=True, exist_ok=True)
    training = prepare(cfg, out, images)
    bar = tqdm(total=cfg.steps, initial=training.step, unit="step", mininterval=10)
    began = time.perf_counter() - training.seconds
    reconstruction = out / "reconstruction.safetensors"
    while training.step < cfg.steps:
        # Only at that very step: a run resumed after it, or prolonged, is no longer what the adversary met.
        if training.step == training.joins_at and not reconstruction.exists():
            save(training.average, reconstruction)
        chosen, flips = batch_at(len(images), cfg.batch_size, training.step, cfg.seed)
        batch = images[chosen]
        batch = torch.where(flips.view(-1, 1, 1, 1), batch.flip(-1), batch)
        terms = training.advance(batch)
        bar.update()
        if training.step % cfg.score_every == 0 or training.step == cfg.steps:
            training.seconds = time.perf_counter() - began
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
    with plain_errors():
        train(cfg.train)


if __name__ == "__main__":
    main()
