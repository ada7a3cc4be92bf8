"""One run: resolve the config, hash it to an id, evaluate it unless that was done before, store everything."""

import copy
import dataclasses
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from ganrev.codecs.base import BelowFloorError, DescribedCodec, described
from ganrev.configuration.configs import to_dict
from ganrev.configuration.options import check_option
from ganrev.data.pictures import Pictures, parse_shard
from ganrev.errors import root_cause
from ganrev.evaluation import costly, metrics, stages
from ganrev.evaluation.overlap import Overlap, find_overlap, refuse
from ganrev.evaluation.provenance import combine, provenance
from ganrev.evaluation.record import SCHEMA_VERSION
from ganrev.evaluation.run_folder import RunFolder
from ganrev.evaluation.run_identity import ALGORITHM_VERSION, TARGETS, modern_config, run_id, shard_name
from ganrev.files import check_folder
from ganrev.pixels import resize
from ganrev.reversal import perceptual
from ganrev.wording import counted

_logger = logging.getLogger(__name__)


class NothingEncodedError(ValueError):
    """Not one picture of a run could be encoded.

    Attributes:
        failed: why, by the picture's name.
    """

    def __init__(self, failed: dict[str, str]) -> None:
        self.failed = failed
        reason = next(iter(failed.values()))
        super().__init__(f"not one of {counted(len(failed), 'picture')} could be encoded; the first: {reason}")


# Keys of the config that every run reads. An override of any other key causes a warning where neither the codec nor the
# data source refers to it.
_ALWAYS_READ = ("codec", "data", "batch_size", "score_limit", "out", "force", "hydra")


def unused_overrides(cfg: DictConfig, overrides: Sequence[str], read_anyway: Sequence[str] = _ALWAYS_READ) -> list[str]:
    """Return the overrides that neither the chosen codec nor the data source reads, nor whoever asks."""
    raw = to_dict(cfg, resolve=False)
    read = json.dumps([raw["codec"], raw["data"]])
    ignored = []
    for override in overrides:
        key = override.lstrip("+~").split("=")[0]
        root = key.split(".")[0].split("@")[0]
        if root not in read_anyway and f"${{{root}}}" not in read and f"${{{root}." not in read:
            ignored.append(override)
    return ignored


def without_effect(cfg: DictConfig, override: str) -> str:
    """Say that a config's codec does not read an override, and where it has an option of its own by that name."""
    key = override.lstrip("+~").split("=")[0]
    own = f"; it reads codec.{key}" if key in cfg.codec else ""
    return f"{override} has no effect: {cfg.codec['_target_']} does not read it{own}"


def load_pictures(cfg: DictConfig, image_size: int | None) -> Pictures:
    """Load the data source, or the shard of it that `data.shard` names, at the codec's own size where it has one."""
    source = copy.deepcopy(cfg.data)  # the copy keeps its parent, for interpolations
    OmegaConf.set_struct(source, False)
    shard = source.pop("shard", None)
    pictures = instantiate(source).load()
    if image_size is not None and pictures.images.shape[-1] != image_size:
        _logger.warning(
            "pictures are resized from %d to %d pixels, scored and counted at that size: the generator draws no other",
            pictures.images.shape[-1],
            image_size,
        )
        pictures = dataclasses.replace(pictures, images=resize(pictures.images, image_size))
    return pictures if shard is None else pictures.shard(shard, cfg.batch_size)


def reload_pictures(run: RunFolder, image_size: int | None) -> Pictures:
    """Load the pictures of a finished run again.

    Args:
        run: whose config names the data source.
        image_size: the codec's own size, or None for that of the data source.

    Raises:
        ValueError: they are not those that the run compressed, or cannot be loaded.
    """
    pictures = load_pictures(run.config, image_size)
    if pictures.digest != run.provenance["data"]:
        raise ValueError(f"the pictures that {run} compressed are no longer the same; repeat the run")
    return pictures


def check_overlap(codec: DescribedCodec, pictures: Pictures, allowed: bool) -> Overlap:
    """Find the pictures that the codec was trained on, by its model card.

    For a codec that has learned nothing there are none; a codec that has, but has no card, causes a warning.

    Raises:
        ValueError: there are such pictures and they are not `allowed`, or the card is damaged.
    """
    if pictures.drawn or not codec.has_learned:
        return Overlap()
    if codec.card is None:
        _logger.warning(
            "it is unknown what this generator was trained on (it has no model card), so its scores may be of pictures "
            "that it was trained on"
        )
        return Overlap(num_unchecked=len(pictures))
    overlap = find_overlap(pictures, codec.card)
    if not allowed:
        refuse(overlap.trained_on)
    for name, reason in overlap.alike.items():
        _logger.warning("%s may have been trained on under another number: %s", name, reason)
    return overlap


def run(cfg: DictConfig, overrides: list[str] | None = None, codec: DescribedCodec | None = None) -> Path:
    """Evaluate one config, unless that has been done; returns the run's folder.

    A run that was cut off goes on with what is finished in its hidden folder, `<out>/.<run_id>.partial`. That
    also keeps the floors of a codec that has no file of the size asked for, for the next time.

    Args:
        cfg: the composed config (`configs/config.yaml`).
        overrides: of the command line, to warn about those that nothing reads.
        codec: what encodes the pictures, where the config's codec has been built already.

    Raises:
        ValueError: a bad option or bad input, pictures that the codec was trained on, or not one picture could
            be encoded.
    """
    for override in unused_overrides(cfg, overrides or []):
        _logger.warning("%s", without_effect(cfg, override))
    cfg = modern_config(cfg)
    stages.check_batch_size(cfg.batch_size)
    costly.check_score_limit(cfg.get("score_limit"))
    check_option(bool, "force", cfg.force)
    if not isinstance(cfg.out, str) or not cfg.out:
        raise ValueError(f"out must be a folder to put runs into, such as results/runs, got {cfg.out!r}")
    check_folder(Path(cfg.out))
    shard = _shard(cfg)
    codec = codec or build_codec(cfg)
    pictures = load_pictures(cfg, codec.image_size)
    _check_scores(pictures)
    overlap = check_overlap(codec, pictures, cfg.data.get("allow_seen_in_training", False))
    name = run_id(codec.identity(), to_dict(cfg.codec, resolve=True), pictures.digest, cfg.seed)
    target = RunFolder(Path(cfg.out) / (shard_name(name, *shard) if shard else name), codec.suffix)
    target.path.parent.mkdir(parents=True, exist_ok=True)
    with target.lock:
        if target.is_finished and not cfg.force and not _set_aside_if_damaged(target):
            _logger.info("%s is there already; force=true repeats it", target)
            _complete(target, pictures, cfg)
            return target.path
        _finish(target, codec, pictures, overlap, cfg)
    return target.path


def _set_aside_if_damaged(run: RunFolder) -> bool:
    """Give a finished run whose record is damaged another name, and say so; returns whether it was damaged."""
    damage = run.find_damage()
    if damage:
        _logger.warning("%s is damaged: %s. It is computed anew, and kept as %s", run, damage, run.set_aside())
    return bool(damage)


def _complete(run: RunFolder, pictures: Pictures, cfg: DictConfig) -> None:
    """Add to a finished run the scores that a smaller `score_limit` left out."""
    rows = costly.complete(run, pictures, cfg.get("score_limit"))
    if rows is not None:
        run.write_rows(rows)
        run.write_summary(run.summary | stages.summarise(rows))


def build_codec(cfg: DictConfig) -> DescribedCodec:
    """Build the codec; ValueError where a class that is not in our configs does not take the options given to it."""
    try:
        return described(instantiate(cfg.codec))
    except InstantiationException as error:
        target, cause = cfg.codec["_target_"], root_cause(error)
        if target in TARGETS.values() or not isinstance(cause, TypeError):
            raise
        raise ValueError(
            f"{target} does not take the options of this config: {cause}. Begin with a codec that has none, and add "
            f"its own: codec=png codec._target_={target} +codec.OPTION=VALUE"
        ) from error


def _check_scores(pictures: Pictures) -> None:
    """Say before anything is encoded what cannot be scored; ValueError for pictures too small for SSIM."""
    height, width = pictures.images.shape[-2:]
    metrics.check_size(height, width)
    if perceptual.is_available() and min(height, width) < perceptual.SMALLEST["vgg"]:
        _logger.warning("ST-LPIPS is left out: it takes no pictures as small as %d x %d", height, width)


def _shard(cfg: DictConfig) -> tuple[int, int] | None:
    """Return i and n of `data.shard=i/n`, None without it; ValueError for any other value."""
    shard = cfg.data.get("shard")
    return None if shard is None else parse_shard(shard)


def _finish(target: RunFolder, codec: DescribedCodec, pictures: Pictures, overlap: Overlap, cfg: DictConfig) -> None:
    """Evaluate in the hidden folder, from where it was cut off, and move it to its final place."""
    partial = target.under_way()
    if cfg.force:
        partial.remove()
    if not partial.is_finished or _set_aside_if_damaged(partial):
        partial.begin()
        partial.write_config(cfg)
        _evaluate(codec, pictures, overlap, partial, cfg)
    partial.finish(target)


def _evaluate(codec: DescribedCodec, pictures: Pictures, overlap: Overlap, run: RunFolder, cfg: DictConfig) -> None:
    """Encode, decode and score all pictures, and write the record, its summary last."""
    _write_origin(codec, pictures, run, cfg)
    encoded = stages.encode_all(codec, pictures, run, cfg.batch_size)
    if len(encoded.failed) == len(pictures.names):
        # Floors took long to find and stay what they are: their journal remains, and tells them at once next time.
        if any(BelowFloorError.floor_in(reason) is None for reason in encoded.failed.values()):
            run.remove()
        raise NothingEncodedError(encoded.failed)
    decode_seconds = stages.decode_all(run, encoded.batches)
    rows = stages.score(codec, pictures, run, encoded, decode_seconds, cfg.get("score_limit"))
    run.write_rows(rows)
    run.write_traces([run.journal("encode").path(names) for names in encoded.traced])
    run.write_summary(_summarise(rows, encoded, pictures, overlap, codec.suffix))


def _write_origin(codec: DescribedCodec, pictures: Pictures, run: RunFolder, cfg: DictConfig) -> None:
    """Write the origin of the run, combined with that of a process that was cut off."""
    origin = provenance() | {
        "algorithm_version": ALGORITHM_VERSION,
        "weights": codec.identity().weights,
        "data": pictures.digest,
        "seed": cfg.seed,
    }
    run.write_provenance(combine([*([run.provenance] if run.has_provenance else []), origin]))


def _summarise(
    rows: pd.DataFrame, encoded: stages.Encoded, pictures: Pictures, overlap: Overlap, suffix: str
) -> dict[str, Any]:
    """Return the summary, by the keys of `ganrev.evaluation.record.SUMMARY`."""
    return (
        {"schema": SCHEMA_VERSION, "suffix": suffix}
        | stages.summarise(rows)
        | {
            "image_size": pictures.images.shape[-1],
            "images_failed": encoded.failed,
            "images_skipped": dict(pictures.skipped),
            "images_seen_in_training": len(overlap.trained_on),
            "images_alike_in_training": len(overlap.alike),
            "images_unchecked_in_training": overlap.num_unchecked,
            "lanes": encoded.num_lanes,
            "lanes_diverged": encoded.num_diverged,
        }
    )
