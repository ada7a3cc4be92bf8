"""`python -m ganrev.train train.faces=[shard.tar] train.valid=folder`: train the embedded generator.

A killed run goes on where it stopped, by the same command. Two milestones stay beside the final weights:
`pca.safetensors`, principal components alone, where training starts unless it is given weights (`train.start`), and
`reconstruction.safetensors`, the generator that the adversary joins. They have no card.
"""

import csv
import hashlib
import io
import json
import math
import time
from pathlib import Path

import hydra
import torch
from omegaconf import DictConfig, OmegaConf
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from ganrev.device import Device
from ganrev.errors import plain_errors
from ganrev.files import write_whole
from ganrev.generator.embedded import LATENT_DIM, load, save
from ganrev.generator.weights import load_checkpoint
from ganrev.options import is_number, is_whole
from ganrev.paths import config_dir
from ganrev.pixels import to_x
from ganrev.train.card import card_of_start, known_faces, publish, read_manifest
from ganrev.train.corpus import batch_at, load_corpus
from ganrev.train.networks import components_of, principal_components
from ganrev.train.training import Training

_COUNTS = ("steps", "batch_size", "prior_batch", "perceptual_batch", "score_every")
_COUNTS += ("card_faces", "table_faces", "nudged_faces")
_POSITIVE = ("lr", "lr_refining", "lr_sharpening", "lr_linear", "lr_discriminator", "refine_lr", "spread")
_NOT_NEGATIVE = ("deblur_least", "deblur", "latent_noise", "ema", "mse_weight", "ssim_weight", "turn_mse_weight")
_NOT_NEGATIVE += ("perceptual_weight", "adversary_weight", "samples_weight", "refine_from", "adversary_from")
# What a run may be gone on with otherwise than it began: nothing of it reaches the weights.
_FREE = ("faces", "valid", "manifest", "out", "device", "score_every", "card_faces", "table_faces", "nudged_faces")


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
    if not isinstance(cfg.valid, str):
        raise ValueError(f"train.valid must be one folder or tar shard, got {cfg.valid}")
    for key in _COUNTS:
        if not (is_whole(cfg[key]) and cfg[key] >= 1):
            raise ValueError(f"train.{key} must be a whole number of at least 1, got {cfg[key]!r}")
        cfg[key] = int(cfg[key])
    for key in ("seed", "refine_steps"):
        if not (is_whole(cfg[key]) and cfg[key] >= 0):
            raise ValueError(f"train.{key} must be a whole number of at least 0, got {cfg[key]!r}")
        cfg[key] = int(cfg[key])
    for keys, least in ((_POSITIVE, "above 0"), (_NOT_NEGATIVE, "of at least 0")):
        for key in keys:
            if not (is_number(cfg[key]) and (cfg[key] > 0 or (cfg[key] == 0 and keys is _NOT_NEGATIVE))):
                raise ValueError(f"train.{key} must be a number {least}, got {cfg[key]!r}")
    if cfg.ema >= 1:
        raise ValueError(f"train.ema must be below 1, got {cfg.ema}")
    if not 0 <= cfg.refine_from <= cfg.adversary_from <= 1:
        raise ValueError(
            "train.refine_from and train.adversary_from must be shares of the steps, the first not above the second, "
            f"got {cfg.refine_from} and {cfg.adversary_from}"
        )
    try:
        Device(cfg.device)
    except ValueError as error:
        raise ValueError(f"train.device={cfg.device}: {error}") from error
    if not cfg.out or Path(cfg.out).is_file():
        raise ValueError(f"train.out must be a folder, new or of a run to go on with, got {cfg.out!r}")
    if cfg.manifest:
        read_manifest(Path(cfg.manifest))
    if cfg.start is not None:
        load(cfg.start, unseen_scale=1.0)
        card_of_start(cfg)


def check_validation(faces: Tensor, valid_names: list[str], valid: Tensor) -> None:
    """Raise ValueError where validation faces are trained on: their scores would flatter."""
    known = {face.numpy().tobytes() for face in faces}
    both = [name for name, face in zip(valid_names, valid, strict=True) if face.numpy().tobytes() in known]
    if both:
        raise ValueError(
            f"{len(both)} of {len(valid)} faces of train.valid are in train.faces, too, the first {both[0]}: scores on "
            "them would flatter; take them out of one"
        )


def claim(cfg: DictConfig, out: Path, images: Tensor) -> dict[str, object]:
    """Return what `run.json` is to say of this run, or raise ValueError where the folder holds a checkpoint of another.

    Weights that a card describes by the settings of the last command only, though others and other faces made them,
    would be worse than none.
    """
    path = out / "run.json"
    settings = {key: value for key, value in cfg.items() if key not in _FREE}
    settings["sha256 of the faces"] = hashlib.sha256(images.numpy()).hexdigest()[:16]
    if not (out / "checkpoint.pt").exists():
        for name in ("components.pt", "pca.safetensors", "reconstruction.safetensors", "log.csv"):
            (out / name).unlink(missing_ok=True)  # another run's
        return settings
    try:
        begun = dict(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(
            f"{out} holds a checkpoint, but {path.name} beside it cannot be read ({error}), so nothing tells how it "
            "was trained; give another train.out"
        ) from error
    changed = [
        f"{key} was {begun.get(key)}, is now {settings.get(key)}"
        for key in {**begun, **settings}
        if begun.get(key) != settings.get(key)
    ]
    if changed:
        raise ValueError(
            f"{out} holds a run with other settings ({'; '.join(changed)}); give the same to go on with it, or another "
            "train.out"
        )
    return settings


def prepare(cfg: DictConfig, out: Path, images: Tensor) -> Training:
    """Build a fresh run or resume from the last checkpoint; writes the first milestone, the linear generator."""
    checkpoint, saved = out / "checkpoint.pt", out / "components.pt"
    if cfg.start is not None:
        weights = load(cfg.start, unseen_scale=1.0)
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
    """Write a file for torch.load, which never exists half-written."""
    partial = path.with_suffix(".partial")
    torch.save(content, partial)
    partial.replace(path)


def log_row(path: Path, row: dict[str, float]) -> None:
    """Add a row to the CSV file, in the place of any of that step or a later one."""
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
        with path.open(newline="") as file:
            rows = [old for old in csv.DictReader(file) if int(old["step"]) < row["step"]]  # later ones: before a kill
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
    # All that can be wrong, before anything is written or computed.
    batch_at(len(images), cfg.batch_size, 0, cfg.seed)
    check_validation(images, valid_names, valid)
    known_faces(cfg, names, valid_names)
    out = Path(cfg.out)
    out.mkdir(parents=True, exist_ok=True)
    settings = claim(cfg, out, images)
    training = prepare(cfg, out, images)
    write_whole(out / "run.json", json.dumps(settings, indent=1).encode())
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
    with plain_errors():
        train(cfg.train)


if __name__ == "__main__":
    main()
