"""`python -m experiments.recode RUN quant=extreme entropy=range`: other quantisers for latents that a run has found.

Reversal takes hours, rounding and coding less: a finished run with `quant=none` serves any number of them. What was
measured stays in the run's folder and is not measured again.
"""

import argparse
import hashlib
import json
import logging
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from experiments.composition import compose_config
from experiments.table import load_provenance
from ganrev import metrics
from ganrev.errors import plain_errors
from ganrev.gan import GanCodec
from ganrev.runner import ALGORITHM_VERSION, load_pictures, load_rows

_GROUPS = ("quant", "entropy", "latent_scale", "loss")
_SHOWN = ("num_bytes", "paper_bytes", "psnr", "ssim", "stlpips")


def _check(run: Path, config: DictConfig, overrides: Sequence[str]) -> None:
    if config.codec["_target_"] != "ganrev.gan.GanCodec" or instantiate(config.codec.quant).step is not None:
        raise ValueError(f"{run} holds no unrounded latents; recode takes a run of codec=gan with quant=none")
    for override in overrides:
        if override.split("=")[0].split(".")[0] not in _GROUPS:
            raise ValueError(f"recode only rounds and codes: it takes {', '.join(_GROUPS)}, not {override}")


def recode(run: Path, overrides: Sequence[str]) -> pd.DataFrame:
    """Round and code a run's latents anew; returns one row a picture: bytes and distortions of the new file.

    It is the file that a run with that `quant` would have written, where each picture had one attempt; of several
    restarts, such a run might have kept another.

    Args:
        run: folder of a finished run with `quant=none`.
        overrides: of `quant`, `entropy`, `latent_scale`, and `loss`: what `quant=rd` weighs against bytes.

    Raises:
        ValueError: the run was rounded, its pictures have changed, or an override reaches beyond rounding and coding.
    """
    path = run / "config.yaml"
    if not path.is_file():
        raise ValueError(f"{run} is no finished run: it has no config.yaml; give folders like results/runs/<run_id>")
    config = OmegaConf.load(path)
    _check(run, config, overrides)
    chosen = compose_config(overrides).codec
    config.codec.quant, config.codec.entropy = chosen.quant, chosen.entropy
    for key in ("latent_scale", "loss"):
        if any(override.split("=")[0].split(".")[0] == key for override in overrides):
            config.codec[key] = chosen[key]
    stored = run / "recoded" / f"{_identity(config)}.csv"
    if not stored.exists():
        rows = _measure(run, config)
        stored.parent.mkdir(exist_ok=True)
        partial = stored.with_suffix(".partial")
        rows.to_csv(partial, index=False)
        partial.replace(stored)
    return pd.read_csv(stored, dtype={"name": str})


def _identity(config: DictConfig) -> str:
    """Hash what the new files depend on beside the run itself."""
    codec = OmegaConf.to_container(config.codec, resolve=True)
    identity = [codec["quant"], codec["entropy"], codec["latent_scale"], codec["loss"], ALGORITHM_VERSION]
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]


def _measure(run: Path, config: DictConfig) -> pd.DataFrame:
    """Round, code, decode with a fresh codec, and score."""
    codec: GanCodec = instantiate(config.codec)
    pictures = load_pictures(config, codec.image_size)
    if pictures.digest != load_provenance(run)["data"]:
        raise ValueError(f"the pictures that {run} compressed are no longer the same; repeat the run")
    images = dict(zip(pictures.names, pictures.images, strict=True))
    names = load_rows(run)["name"].tolist()
    chosen = torch.stack([images[name] for name in names])
    found = [(run / "blobs" / f"{name}{codec.suffix}").read_bytes() for name in names]
    began = time.perf_counter()
    blobs = codec.recode(codec.latents(found), chosen)
    seconds = (time.perf_counter() - began) / len(names)
    decoded = instantiate(config.codec).decode(blobs)
    rows = [
        {"name": name, "num_bytes": len(blob), "paper_bytes": metrics.paper_bytes(blob), "recode_seconds": seconds}
        | metrics.distortion(image, drawn)
        for name, image, blob, drawn in zip(names, chosen, blobs, decoded, strict=True)
    ]
    frame = pd.DataFrame(rows)
    distances = metrics.stlpips(chosen, decoded)
    return frame if distances is None else frame.assign(stlpips=distances)


def main(argv: Sequence[str] | None = None) -> None:
    """Print means with 95 % intervals and write one row a picture; a user's mistake prints one line."""
    parser = argparse.ArgumentParser(prog="python -m experiments.recode", description=__doc__)
    parser.add_argument("run", type=Path, metavar="RUN", help="a finished run of codec=gan with quant=none")
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="for example quant=extreme entropy=range")
    parser.add_argument("-o", "--output", type=Path, metavar="CSV", help="one row a picture")
    arguments = parser.parse_intermixed_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    with plain_errors():
        frame = recode(arguments.run, arguments.overrides)
        print(f"{len(frame)} pictures of {arguments.run.name}, {' '.join(arguments.overrides)}")
        for key in (key for key in _SHOWN if key in frame):
            mean, half = metrics.mean_and_interval(frame[key].tolist())
            interval = f" ± {half:.4f}" if len(frame) > 1 else ""
            print(f"  {key:<12} {mean:.4f}{interval}, from {frame[key].min():.4f} to {frame[key].max():.4f}")
        if arguments.output:
            frame.to_csv(arguments.output, index=False)


if __name__ == "__main__":
    main()
