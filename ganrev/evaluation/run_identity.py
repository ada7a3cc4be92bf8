"""The id of a run: a hash of all that can change its results, independent of where code lies."""

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

from omegaconf import DictConfig, OmegaConf

from ganrev.codecs.base import CodecIdentity
from ganrev.configuration.configs import to_dict

# Raised whenever the same config would give other bytes or scores than before.
ALGORITHM_VERSION = 2

# Keys of a codec's config that say where something lies or runs, not what it computes.
_PLACES = ("path", "url", "device", "faces")

# Keys that were added to a codec's config after runs had been stored: the default of each, by the former `_target_`
# beside it (left below) and its name. A key at its default is not hashed, so that old runs keep their ids.
LATER_KEYS: dict[tuple[str, str], object] = {
    ("baselines.pca.load", "target_bytes"): None,
    ("baselines.pillow.JPEG", "target_bytes"): None,
    ("ganrev.auto.AutoCodec", "curve"): None,
    ("ganrev.gan.GanCodec", "latent"): "z",
}

# The present name of each `_target_` by its former one, which runs were hashed and stored with. If one is moved or
# renamed, change the right-hand side here and the YAML in configs/; the left-hand side must never change.
TARGETS = {
    "baselines.kmeans.KMeans": "baselines.KMeans",
    "baselines.pca.load": "baselines.load_pca",
    "baselines.pillow.JPEG": "baselines.JPEG",
    "baselines.pillow.PNG": "baselines.PNG",
    "baselines.AVIF": "baselines.AVIF",
    "baselines.HEIF": "baselines.HEIF",
    "baselines.JPEG2000": "baselines.JPEG2000",
    "baselines.JXL": "baselines.JXL",
    "baselines.WebP": "baselines.WebP",
    "baselines.load_autoencoder": "baselines.load_autoencoder",
    "baselines.load_encoder": "baselines.load_encoder",
    "baselines.load_hyperprior": "baselines.load_hyperprior",
    "ganrev.auto.AutoCodec": "ganrev.codecs.AutoCodec",
    "ganrev.gan.GanCodec": "ganrev.codecs.GanCodec",
    "ganrev.data.celeba.Celeba": "ganrev.data.Celeba",
    "ganrev.data.celeba.CelebaSample": "ganrev.data.CelebaSample",
    "ganrev.data.folder.Folder": "ganrev.data.Folder",
    "ganrev.data.seen.Seen": "ganrev.data.Seen",
    "ganrev.device.Device": "ganrev.reversal.Device",
    "ganrev.reversal.Reversal": "ganrev.reversal.Reversal",
    "ganrev.entropy.Bzip2": "ganrev.coding.Bzip2",
    "ganrev.entropy.Lzma": "ganrev.coding.Lzma",
    "ganrev.entropy.Range": "ganrev.coding.Range",
    "ganrev.entropy.Store": "ganrev.coding.Store",
    "ganrev.entropy.Zlib": "ganrev.coding.Zlib",
    "ganrev.entropy.Zstd": "ganrev.coding.Zstd",
    "ganrev.generator.dcgan.load": "ganrev.generator.load_dcgan",
    "ganrev.generator.dcgan.load_from_wheel": "ganrev.generator.load_dcgan_from_wheel",
    "ganrev.generator.embedded.load": "ganrev.generator.load_embedded",
    "ganrev.generator.pggan.load": "ganrev.generator.load_pggan",
    "ganrev.losses.L1": "ganrev.reversal.L1",
    "ganrev.losses.MSE": "ganrev.reversal.MSE",
    "ganrev.losses.MSSSIM": "ganrev.reversal.MSSSIM",
    "ganrev.losses.SSIM": "ganrev.reversal.SSIM",
    "ganrev.losses.WeightedSum": "ganrev.reversal.WeightedSum",
    "ganrev.perceptual.STLPIPS": "ganrev.reversal.STLPIPS",
    "ganrev.quantise.Quantiser": "ganrev.coding.Quantiser",
    "ganrev.quantise.RateDistortion": "ganrev.coding.RateDistortion",
    "ganrev.quantise.ScaledQuantiser": "ganrev.coding.ScaledQuantiser",
}


_SHARD = re.compile(r"(.+-[0-9a-f]{12})-([0-9]+)of([0-9]+)")


def run_id(identity: CodecIdentity, codec_config: dict[str, Any], digest: str, seed: int) -> str:
    """Hash what can change a result: codec, precision, weights, data, seed, algorithm version; never a path.

    The number of threads and of lanes in a batch are left out: they change nothing but the last bits of a sum. With a
    learning rate so large that a descent never settles these can become visible (`ganrev verify --alone`).

    Args:
        identity: of the codec.
        codec_config: the codec's part of the config, resolved, as plain dicts and lists.
        digest: of the pictures.
        seed: of the run.
    """
    content = {
        "codec": canonical_config(codec_config),
        "step": identity.step_size,  # not in the config where the scale comes from the generator's card
        "precision": identity.precision,
        "weights": identity.weights,
        "data": digest,
        "seed": seed,
        "version": ALGORITHM_VERSION,
    }
    canonical = json.dumps(content, sort_keys=True)
    return f"{identity.name}-{hashlib.sha256(canonical.encode()).hexdigest()[:12]}"


def canonical_config(config: dict[str, Any]) -> dict[str, Any]:
    """Return a codec's config as it is hashed: former names, no places, and no later keys at their defaults."""
    former = {new: old for old, new in TARGETS.items()}

    def canonical(node: dict[str, Any]) -> dict[str, Any]:
        target = str(node.get("_target_", ""))
        target = former.get(target, target)
        kept = {k: v for k, v in node.items() if k not in _PLACES and not _is_later_default(target, k, v)}
        return kept | ({"_target_": target} if target else {})

    return _map_dicts(config, canonical)


def _is_later_default(target: str, key: str, value: object) -> bool:
    return (target, key) in LATER_KEYS and LATER_KEYS[target, key] == value


def modern_config(config: DictConfig) -> DictConfig:
    """Return a config, perhaps stored by an older version, whose `_target_`s name where things live now."""

    def modern(node: dict[str, Any]) -> dict[str, Any]:
        target = node.get("_target_")
        node = node | {"_target_": TARGETS[target]} if target in TARGETS else node
        return _decodable(node) if node.get("_target_") == "ganrev.codecs.AutoCodec" and "losses" in node else node

    return OmegaConf.create(_map_dicts(to_dict(config, resolve=False), modern))


def _decodable(node: dict[str, Any]) -> dict[str, Any]:
    """Return automatic mode's config of release 0.1.0 without what it chose among: enough to decode its files."""
    gone = ("losses", "lrs", "restarts", "judge", "budget")
    kept = {key: value for key, value in node.items() if key not in gone}
    return kept | {"loss": {"_target_": "ganrev.reversal.SSIM"}, "reversal": {"_target_": "ganrev.reversal.Reversal"}}


def _map_dicts(value: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """Apply a function to each dict of nested dicts and lists, from the inside out."""
    if isinstance(value, dict):
        return change({key: _map_dicts(inner, change) for key, inner in value.items()})
    if isinstance(value, list):
        return [_map_dicts(inner, change) for inner in value]
    return value


def shard_name(run: str, number: int, num_shards: int) -> str:
    """Return the name of the shard number/num_shards of a run, such as `jpeg-0123456789ab-1of4`."""
    return f"{run}-{number}of{num_shards}"


def parse_shard_name(name: str) -> tuple[str, int, int] | None:
    """Return run, number and number of shards from a shard's name; None for any other name."""
    match = _SHARD.fullmatch(name)
    return (match[1], int(match[2]), int(match[3])) if match else None
