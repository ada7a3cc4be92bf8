"""Checks of a training's options and faces, before its first step."""

import hashlib
import json
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from ganrev.configuration.options import BelowOne, Count, CountOrZero, NotNegative, Positive, check_option
from ganrev.files import check_folder
from ganrev.generator.embedded import latents_path, load_embedded
from ganrev.paths import user_path
from ganrev.reversal.device import Device
from ganrev.train.card import card_of_start, people_of

_COUNTS = ["batch_size", "prior_batch", "perceptual_batch", "score_every"]
_COUNTS += ["card_faces", "table_faces", "nudged_faces"]
_COUNTS += [
    f"grid.{key}"
    for key in ("batch_size", "linear_faces", "slots", "visits", "passes", "proposals_every", "card_faces")
]
_COUNTS_OR_ZERO = ["seed", "steps", "refine_steps"]
_COUNTS_OR_ZERO += [f"grid.{key}" for key in ("steps", "linear_steps", "first_passes", "settle_steps")]
_POSITIVE = ["lr", "lr_refining", "lr_sharpening", "lr_linear", "lr_discriminator", "refine_lr", "spread"]
_POSITIVE += [f"grid.{key}" for key in ("lr_late", "lr", "lr_atoms", "lr_places", "lr_prior", "lr_search", "clip")]
_POSITIVE += ["grid.lmbda_least", "grid.lmbda", "grid.coarser"]
_NOT_NEGATIVE = ["deblur_least", "deblur", "latent_noise", "mse_weight", "ssim_weight", "turn_mse_weight"]
_NOT_NEGATIVE += ["perceptual_weight", "adversary_weight", "samples_weight", "refine_from", "adversary_from"]
_NOT_NEGATIVE += ["grid.mse_weight"]
_KINDS: tuple[tuple[object, list[str]], ...] = (
    (Count, _COUNTS),
    (CountOrZero, _COUNTS_OR_ZERO),
    (Positive, _POSITIVE),
    (NotNegative, _NOT_NEGATIVE),
    (BelowOne, ["ema", "grid.ema"]),
)
# Settings that may change when a training goes on: they do not affect its steps.
_FREE = ("faces", "valid", "manifest", "out", "device", "score_every", "card_faces", "table_faces", "nudged_faces")
_FREE_OF_GRID = ("coarser", "card_faces")

_CHECKPOINTS = ("checkpoint.pt", "grid_start.pt", "grid_checkpoint.pt")
_LEFT = ["components.pt", "pca.safetensors", "reconstruction.safetensors", "log.csv"]
_LEFT += ["z.safetensors", "z.latents.safetensors"]


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
    for kind, keys in _KINDS:
        for key in keys:
            value = check_option(kind, f"train.{key}", OmegaConf.select(cfg, key))
            if isinstance(value, int):  # 1e3 was none yet
                OmegaConf.update(cfg, key, value)
    if not 0 <= cfg.refine_from <= cfg.adversary_from <= 1:
        raise ValueError(
            "train.refine_from and train.adversary_from must be shares of the steps, the first not above the second, "
            f"got {cfg.refine_from} and {cfg.adversary_from}"
        )
    try:
        Device(cfg.device)
    except ValueError as error:
        raise ValueError(f"train.device={cfg.device}: {error}") from error
    if cfg.grid.lmbda_least > cfg.grid.lmbda:
        raise ValueError(
            "train.grid.lmbda_least must be at most train.grid.lmbda, the least and the highest price of a byte, got "
            f"{cfg.grid.lmbda_least} and {cfg.grid.lmbda}"
        )
    if not cfg.out or Path(cfg.out).is_file():
        raise ValueError(f"train.out must be a folder, new or of a run to go on with, got {cfg.out!r}")
    check_folder(Path(cfg.out))
    if cfg.manifest:
        people_of(cfg)
    if cfg.start is not None:
        load_embedded(cfg.start, unseen_scale=1.0)
        card_of_start(cfg)
    if not cfg.steps:
        check_finished(cfg)


def check_finished(cfg: DictConfig) -> None:
    """Raise ValueError where `train.steps=0` has no finished z to go on from."""
    if cfg.start is None:
        raise ValueError("train.steps=0 trains the grid alone, on a finished z: give its weights by train.start=")
    table = latents_path(user_path(cfg.start))
    if not table.is_file():
        raise ValueError(
            f"train.start={cfg.start} has no {table.name} beside it, which train.steps=0 takes as it is; write it with "
            f"`ganrev latents {cfg.start} --faces=`, or give train.steps="
        )


def check_validation(faces: Tensor, valid_names: list[str], valid: Tensor) -> None:
    """Raise ValueError where validation faces are trained on: their scores would be too good."""
    known = {face.numpy().tobytes() for face in faces}
    both = [name for name, face in zip(valid_names, valid, strict=True) if face.numpy().tobytes() in known]
    if both:
        raise ValueError(
            f"{len(both)} of {len(valid)} faces of train.valid are in train.faces, too, the first {both[0]}: scores on "
            "them would flatter; take them out of one"
        )


def claim(cfg: DictConfig, out: Path, images: Tensor) -> dict[str, object]:
    """Return what `run.json` is to say of this run, or raise ValueError where the folder holds a checkpoint of another.

    The card describes weights by the settings of the last command, which would be wrong if they had changed on the way.
    """
    path = out / "run.json"
    settings: dict[str, object] = {str(key): value for key, value in cfg.items() if key not in (*_FREE, "grid")}
    settings |= {f"grid.{key}": value for key, value in cfg.grid.items() if key not in _FREE_OF_GRID}
    settings["sha256 of the faces"] = hashlib.sha256(images.numpy().data).hexdigest()[:16]
    if not any((out / name).exists() for name in _CHECKPOINTS):
        for name in _LEFT:
            (out / name).unlink(missing_ok=True)  # another run's
        return settings
    try:
        begun = dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(
            f"{out} holds a checkpoint, but {path.name} beside it cannot be read ({error}), so it is unknown how it "
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
