"""Rounds and codes the latents of a finished run with other quantisers.

Reversal takes hours, rounding and coding less: one run with `quant=none` serves any number of quantisers. Results stay
in the run's folder and are not measured again.
"""

import hashlib
import json
import time
from collections.abc import Sequence

import pandas as pd
import torch
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig

from ganrev.codecs.gan import GanCodec
from ganrev.configuration.configs import to_dict
from ganrev.configuration.overrides import compose_config
from ganrev.evaluation import metrics
from ganrev.evaluation.run_folder import RunFolder
from ganrev.evaluation.run_identity import ALGORITHM_VERSION, canonical_config
from ganrev.evaluation.runner import reload_pictures
from ganrev.evaluation.trust import check_targets

_GROUPS = ("quant", "entropy", "latent_scale", "loss")


def recode(run: RunFolder, overrides: Sequence[str]) -> pd.DataFrame:
    """Round and code a run's latents anew; returns one row for each picture: bytes and distortions of the new file.

    The file is the one that a run with that `quant` would have written, if each picture had one attempt; of several
    restarts such a run might have kept another one.

    Args:
        run: a finished one with `quant=none`.
        overrides: of `quant`, `entropy`, `latent_scale`, and `loss`: the distortion D of `quant=rd`.

    Raises:
        ValueError: the run was rounded, its pictures have changed, or an override reaches beyond rounding and coding.
    """
    config = run.config
    _check(run, config, overrides)
    chosen = compose_config(overrides).codec
    config.codec.quant, config.codec.entropy = chosen.quant, chosen.entropy
    for key in ("latent_scale", "loss"):
        if any(_group(override) == key for override in overrides):
            config.codec[key] = chosen[key]
    identity = _identity(config)
    if run.recoded(identity) is None:
        run.write_recoded(identity, _measure(run, config))
    return run.recoded(identity)


def _group(override: str) -> str:
    return override.split("=")[0].split(".")[0]


def _check(run: RunFolder, config: DictConfig, overrides: Sequence[str]) -> None:
    """Raise ValueError for a run without unrounded latents, and for overrides of anything but rounding and coding."""
    check_targets(config)
    codec = get_object(config.codec["_target_"])
    is_gan = isinstance(codec, type) and issubclass(codec, GanCodec)
    if not is_gan or instantiate(config.codec.quant).step is not None:
        raise ValueError(f"{run} holds no unrounded latents; recode takes a run of codec=gan with quant=none")
    for override in overrides:
        if _group(override) not in _GROUPS:
            raise ValueError(f"recode only rounds and codes: it takes {', '.join(_GROUPS)}, not {override}")


def _identity(config: DictConfig) -> str:
    """Hash what the new files depend on, apart from the run itself."""
    codec = canonical_config(to_dict(config.codec, resolve=True))
    identity = [codec["quant"], codec["entropy"], codec["latent_scale"], codec["loss"], ALGORITHM_VERSION]
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]


def _measure(run: RunFolder, config: DictConfig) -> pd.DataFrame:
    """Round, code, decode with a fresh codec, and score."""
    codec: GanCodec = instantiate(config.codec)
    pictures = reload_pictures(run, codec.image_size)
    images = dict(zip(pictures.names, pictures.images, strict=True))
    names = run.rows["name"].tolist()
    chosen = torch.stack([images[name] for name in names])
    found = [run.blob(name) for name in names]
    began = time.perf_counter()
    blobs = codec.recode(codec.latents(found), chosen)
    seconds = (time.perf_counter() - began) / len(names)
    decoded = instantiate(config.codec).decode(blobs)
    quick, costly = metrics.other_measures(chosen, decoded), metrics.costly_measures(chosen, decoded)
    rows = [
        {"name": name, "num_bytes": len(blob), "paper_bytes": codec.bytes_for_paper(blob), "recode_seconds": seconds}
        | metrics.distortion(image, drawn)
        | other
        | slow
        for name, image, blob, drawn, other, slow in zip(names, chosen, blobs, decoded, quick, costly, strict=True)
    ]
    return pd.DataFrame(rows)
