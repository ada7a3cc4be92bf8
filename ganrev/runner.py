"""One run: resolve the config, name it by what can change its result, evaluate it once, keep everything."""

import copy
import dataclasses
import hashlib
import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from ganrev import harness
from ganrev.codec import Codec
from ganrev.data.pictures import Pictures, parse_shard
from ganrev.files import write_whole
from ganrev.overlap import Overlap, find_overlap, refuse
from ganrev.pixels import resize
from ganrev.provenance import combine, provenance

log = logging.getLogger(__name__)

# Raised whenever the same config would give other bytes or scores than before.
ALGORITHM_VERSION = 2

# Parts of a codec's config that say where something lies or runs, not what it computes.
_PLACES = ("path", "url", "device", "faces")

# Keys of the config that every run reads. An override of another one, a group or a value of the codec's, is worth a
# warning where neither the codec nor the data source refers to it.
_ALWAYS_READ = ("codec", "data", "batch_size", "out", "force", "hydra")


def run_id(codec: Codec, codec_config: dict, digest: str, seed: int) -> str:
    """Hash what can change a result: codec, precision, weights, data, seed, algorithm version; never a path.

    The number of threads and of lanes in a batch are left out: they change nothing but the last bits of a sum. A
    descent at a learning rate so large that it never settles can make those visible (`experiments.verify --alone`).
    """
    identity = {
        "codec": _without_places(codec_config),
        "step": getattr(codec, "step", None),  # beside the config: the scale may come from the generator's card
        "precision": getattr(codec, "precision", None),
        "weights": getattr(codec, "digest", None),
        "data": digest,
        "seed": seed,
        "version": ALGORITHM_VERSION,
    }
    canonical = json.dumps(identity, sort_keys=True)
    return f"{type(codec).__name__.lower()}-{hashlib.sha256(canonical.encode()).hexdigest()[:12]}"


def _without_places(config: dict) -> dict:
    return {
        key: _without_places(value) if isinstance(value, dict) else value
        for key, value in config.items()
        if key not in _PLACES
    }


def unused_overrides(cfg: DictConfig, overrides: list[str]) -> list[str]:
    """Return the overrides that neither the chosen codec nor the data source reads."""
    raw = OmegaConf.to_container(cfg, resolve=False)
    read = json.dumps([raw["codec"], raw["data"]])
    ignored = []
    for override in overrides:
        key = override.lstrip("+~").split("=")[0]
        root = key.split(".")[0].split("@")[0]
        if root not in _ALWAYS_READ and f"${{{root}}}" not in read and f"${{{root}." not in read:
            ignored.append(override)
    return ignored


def load_pictures(cfg: DictConfig, image_size: int | None) -> Pictures:
    """Load the data source, or the shard of it that `data.shard` names, at the codec's own size where it has one."""
    source = copy.deepcopy(cfg.data)  # which keeps its parent, for interpolations
    OmegaConf.set_struct(source, False)
    shard = source.pop("shard", None)
    pictures = instantiate(source).load()
    if image_size is not None and pictures.images.shape[-1] != image_size:
        log.warning(
            "pictures are resized from %d to %d pixels, scored and counted at that size: the generator draws no other",
            pictures.images.shape[-1],
            image_size,
        )
        pictures = dataclasses.replace(pictures, images=resize(pictures.images, image_size))
    return pictures if shard is None else pictures.shard(shard, cfg.batch_size)


def check_overlap(codec: Codec, pictures: Pictures, allowed: bool) -> Overlap:
    """Find the pictures that the codec's generator, or the codec itself, was trained on, by its model card.

    A codec without a generator or a card has learned nothing; a generator without a card is warned of.

    Raises:
        ValueError: there are such pictures and they are not `allowed`, or the card is damaged.
    """
    learned = getattr(codec, "generator", codec)
    card = getattr(learned, "card", None)
    if pictures.drawn or (card is None and learned is codec):
        return Overlap()
    if card is None:
        log.warning(
            "nothing tells what this generator was trained on (it has no model card), so its scores may be of pictures "
            "that it was trained on"
        )
        return Overlap(num_unchecked=len(pictures))
    overlap = find_overlap(pictures, card)
    if not allowed:
        refuse(overlap.trained_on)
    for name, reason in overlap.alike.items():
        log.warning("%s may have been trained on under another number: %s", name, reason)
    return overlap


def run(cfg: DictConfig, overrides: list[str] | None = None) -> Path:
    """Evaluate one config, unless that has been done; returns the run's folder.

    What is finished of a run that was cut off is taken from its hidden folder, `<out>/.<run_id>.partial`.

    Args:
        cfg: the composed config (`configs/config.yaml`).
        overrides: the command line's, to warn about those that nothing reads.

    Raises:
        ValueError: a bad option or bad input, pictures that the generator was trained on, or not one picture could
            be encoded.
    """
    for override in unused_overrides(cfg, overrides or []):
        log.warning("%s has no effect: the codec %s does not read it", override, cfg.codec["_target_"])
    harness.check_batch_size(cfg.batch_size)
    suffix = shard_suffix(cfg)
    codec = instantiate(cfg.codec)
    pictures = load_pictures(cfg, codec.image_size)
    overlap = check_overlap(codec, pictures, cfg.data.get("allow_seen_in_training", False))
    codec_config = OmegaConf.to_container(cfg.codec, resolve=True)
    name = run_id(codec, codec_config, pictures.digest, cfg.seed) + suffix
    out = Path(cfg.out)
    out.mkdir(parents=True, exist_ok=True)
    folder, partial = out / name, out / f".{name}.partial"
    with FileLock(out / f".{name}.lock"):
        if (folder / "summary.json").exists() and not cfg.force:
            log.info("%s is there already; force=true repeats it", folder)
            return folder
        if cfg.force:
            shutil.rmtree(partial, ignore_errors=True)
        if not (partial / "summary.json").exists():
            partial.mkdir(exist_ok=True)
            OmegaConf.save(cfg, partial / "config.yaml", resolve=True)
            _evaluate(codec, pictures, overlap, partial, cfg)
        finish(partial, folder)
    return folder


def shard_suffix(cfg: DictConfig) -> str:
    """Return what a shard's folder is called beyond the run's id, such as `-1of4`; nothing without `data.shard`.

    Raises:
        ValueError: `data.shard` is no shard.
    """
    shard = cfg.data.get("shard")
    return "" if shard is None else "-{}of{}".format(*parse_shard(shard))


def finish(partial: Path, folder: Path) -> None:
    """Give a run that has its `summary.json` its name; what is kept for a restart goes."""
    shutil.rmtree(partial / "journal", ignore_errors=True)
    if folder.exists():
        shutil.rmtree(folder)
    partial.rename(folder)


def _evaluate(codec: Codec, pictures: Pictures, overlap: Overlap, folder: Path, cfg: DictConfig) -> None:
    origin = provenance() | {
        "algorithm_version": ALGORITHM_VERSION,
        "weights": getattr(codec, "digest", None),
        "data": pictures.digest,
        "seed": cfg.seed,
    }
    path = folder / "provenance.json"
    origins = [json.loads(path.read_text())] if path.exists() else []  # of the process that was cut off
    write_whole(path, harness.to_json(combine([*origins, origin])).encode())
    encoded = harness.encode_all(codec, pictures, folder, cfg.batch_size)
    if len(encoded.failed) == len(pictures.names):
        shutil.rmtree(folder)
        reason = next(iter(encoded.failed.values()))
        raise ValueError(f"not one of {len(pictures.names)} pictures could be encoded; the first: {reason}")
    decode_seconds = harness.decode_all(folder, encoded.batches)
    rows = harness.score(pictures, folder, codec.suffix, encoded, decode_seconds)
    rows.to_csv(folder / "rows.csv", index=False)
    if encoded.traces:
        np.savez_compressed(folder / "traces.npz", **encoded.traces)
    diverged = encoded.traces.get("diverged", np.zeros(0, bool))
    summary = harness.summarise(rows) | {
        "image_size": pictures.images.shape[-1],
        "images_failed": encoded.failed,
        "images_skipped": dict(pictures.skipped),
        "images_seen_in_training": len(overlap.trained_on),
        "images_alike_in_training": len(overlap.alike),
        "images_unchecked_in_training": overlap.num_unchecked,
        "lanes": diverged.size,
        "lanes_diverged": int(diverged.sum()),
    }
    write_whole(folder / "summary.json", harness.to_json(summary).encode())  # last: a run that has it is finished


def load_summary(folder: Path) -> dict:
    """Return a run's `summary.json`."""
    return json.loads((folder / "summary.json").read_text())


def load_rows(folder: Path) -> pd.DataFrame:
    """Return a run's `rows.csv`."""
    return pd.read_csv(folder / "rows.csv", dtype={"name": str, "celeba_id": "Int64"})


def training_notes(summary: dict) -> list[str]:
    """Say how many pictures of a run its generator was trained on, if any."""
    texts = {
        "images_seen_in_training": "the generator was trained on",
        "images_alike_in_training": "look like faces that the generator was trained on, under other CelebA numbers",
        "images_unchecked_in_training": "may be among those that the generator was trained on, which nothing tells",
    }
    counts = {text: summary.get(key, 0) for key, text in texts.items()}  # runs of older versions have no such keys
    return [f"{count} of {summary['num_images']} pictures {text}" for text, count in counts.items() if count]


def describe(folder: Path) -> str:
    """Return a few lines a person can read about a finished run."""
    summary = load_summary(folder)
    mean, ci = summary["mean"], summary["ci95"]
    shown = (
        ("num_bytes", "bytes, whole file", 1),
        ("paper_bytes", "bytes, paper count", 1),
        ("paper_bpp", "bits per pixel, paper count", 4),
        ("psnr", "PSNR, dB", 2),
        ("mse", "MSE", 1),
        ("ssim", "SSIM", 4),
        ("stlpips", "ST-LPIPS, VGG", 4),
        ("encode_seconds", "seconds to encode a picture", 2),
        ("decode_seconds", "seconds to decode a picture", 4),
    )
    count, size = summary["num_images"], summary["image_size"]
    lines = [f"{count} picture{'s' * (count > 1)} of {size} x {size}"]
    for key, label, digits in shown:
        if key not in mean:
            continue
        value = float(mean[key])
        timed = key.endswith("_seconds")  # a batch's time, shared equally: it has no interval
        half = f" ± {ci[key]:.{digits}f}" if isinstance(ci.get(key), float) and not timed else ""
        lines.append(f"  {label:<34} {value:.{digits}f}{half}")
    lines.append(f"  {'compression ratio, paper count':<34} {float(summary['cr']):.1f}")
    for key, label in (("images_failed", "failed"), ("images_skipped", "skipped")):
        lines += [f"  {label}: {name}: {reason}" for name, reason in summary[key].items()]
    lines += [f"  {line}" for line in training_notes(summary)]
    if summary.get("targets_missed"):
        lines.append(f"  {summary['targets_missed']} of {count} files missed the target (chosen_hit in rows.csv)")
    if summary["lanes_diverged"]:
        lines.append(f"  {summary['lanes_diverged']} of {summary['lanes']} lanes diverged")
    lines.append(f"  {folder}")
    return "\n".join(lines)
