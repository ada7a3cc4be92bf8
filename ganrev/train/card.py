"""The model card: what a generator was trained on, for how long, and what it reaches."""

import dataclasses
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from ganrev.codecs.gan import GanCodec
from ganrev.coding.backends import Bzip2
from ganrev.coding.quantiser import Quantiser
from ganrev.contamination.card import KnownFaces, ModelCard, celeba_numbers, read_card, write_card
from ganrev.contamination.hashes import all_hashes_paths, hashes_path, write_hashes
from ganrev.data.manifest import read_manifest
from ganrev.evaluation.metrics import distortion
from ganrev.evaluation.provenance import provenance
from ganrev.generator.embedded import EmbeddedNetwork, latents_path, load_embedded, save
from ganrev.paths import user_path
from ganrev.reversal.device import Device
from ganrev.reversal.losses import MSE, SSIM
from ganrev.reversal.settings import Reversal
from ganrev.train.grid_scores import grid_scores
from ganrev.train.grid_search import grid_of
from ganrev.train.latents import describe_table

PAPER_EXTREME = 15.0  # the paper's unseen latents reach about [-15, 15]
LICENCE = "that of the faces trained on"
CELEBA_LICENCE = "CelebA's terms: non-commercial research only (Liu et al. 2015)"


def reversal_scores(
    network: EmbeddedNetwork, faces: Tensor, loss: nn.Module, step: float | None, scale: float
) -> tuple[dict[str, float], Mapping[str, np.ndarray]]:
    """Compress faces with the default reversal; returns mean scores and the trace (`ganrev.reversal.trace`).

    Args:
        network: frozen, with its digest.
        faces: uint8 [N, 3, 128, 128].
        loss: what reversal descends.
        step: of the quantiser, None for float32 latents.
        scale: on z before rounding.
    """
    codec = GanCodec(network, loss, Quantiser(step), Bzip2(), Reversal(), Device(), latent_scale=scale)
    report = codec.encode_with_report(faces)
    blobs = report.blobs
    rows = [distortion(face, drawn) for face, drawn in zip(faces, codec.decode(blobs), strict=True)]
    scores = {key: sum(row[key] for row in rows) / len(rows) for key in ("ssim", "psnr")}
    scores["paper_bytes"] = sum(map(codec.bytes_for_paper, blobs)) / len(blobs)
    return {key: round(value, 4) for key, value in scores.items()}, report.trace


def choose_unseen_scale(trace: Mapping[str, np.ndarray]) -> float:
    """Return the factor that brings the largest latent of a picture, on average, to the paper's 15."""
    largest = torch.from_numpy(trace["snapshots"])[:, 0, -1].abs().amax(dim=1).mean()
    return round(PAPER_EXTREME / float(largest), 1)


def people_of(cfg: DictConfig) -> dict[int, int]:
    """Return the identity of each CelebA number in `cfg.manifest`; ValueError where it cannot be read."""
    try:
        return read_manifest(Path(cfg.manifest))
    except ValueError as error:
        raise ValueError(f"train.manifest={error}, or null") from error


def known_faces(cfg: DictConfig, names: list[str], valid_names: list[str]) -> dict[str, list[int]]:
    """Return what the card lists: CelebA's numbers of faces trained and tuned on, and of the people on them.

    Faces are known by their names, six digits as CelebA's; the people by `cfg.manifest`; and what the weights in
    `cfg.start` were trained and tuned on is added. Runs refuse faces trained on as test
    pictures, and leave out those tuned on where they draw from the test split.

    Raises:
        ValueError: the manifest or the start's card is missing or damaged, or a face is not in the manifest.
    """
    identities = None if cfg.manifest is None else people_of(cfg)
    start = KnownFaces() if cfg.start is None else read_card(card_of_start(cfg)).known
    known = {}
    for prefix, faces in (("", names), ("tuned_", valid_names)):
        ids = celeba_numbers(faces)
        people: set[int] = set()
        if identities is not None:
            missing = [i for i in ids if i not in identities]
            if missing:
                raise ValueError(
                    f"train.manifest={cfg.manifest} lacks {len(missing)} of {len(ids)} faces, the first "
                    f"{missing[0]:06d}; give one with a line for each, or null"
                )
            people = {identities[i] for i in ids}
        known[f"{prefix}celeba_ids"] = sorted(getattr(start, f"{prefix}celeba_ids").union(ids))
        known[f"{prefix}celeba_identities"] = sorted(getattr(start, f"{prefix}celeba_identities") | people)
    return known


def card_of_start(cfg: DictConfig) -> Path:
    """Return the card beside `cfg.start`; ValueError where it is unknown what those weights were trained on."""
    weights = user_path(cfg.start)
    card = weights.with_suffix(".json")
    absent = [path.name for path in (card, hashes_path(weights)) if not path.is_file()]
    if absent:
        raise ValueError(
            f"train.start={cfg.start} has no {' and no '.join(absent)} beside it, so it is unknown what it was trained "
            "on; give the embedded.safetensors of a finished training, or the weights of the package"
        )
    return card


def publish(
    cfg: DictConfig,
    network: EmbeddedNetwork,
    z: Path,
    corpus: tuple[list[str], Tensor],
    validation: tuple[list[str], Tensor],
    hours: Mapping[str, float],
) -> Path:
    """Write the weights and all files that belong to them into the training folder.

    Args:
        cfg: the training's.
        network: trained, with a grid or without.
        z: weights of z alone, with their table of latents beside them.
        corpus: names and uint8 pictures [N, 3, 128, 128] of the training faces.
        validation: the same of the validation faces.
        hours: that `z` and `grid` took.

    Returns:
        The path of `embedded.safetensors`; beside it lie the card, `embedded.json`, hashes of the training faces,
        `embedded.hashes.npz`, and the table of latents, `embedded.latents.safetensors`.
    """
    # Write everything into a folder of its own first.
    (names, images), (valid_names, valid) = corpus, validation
    out, unfinished = Path(cfg.out), Path(cfg.out) / "publishing"
    shutil.rmtree(unfinished, ignore_errors=True)  # of a run that was killed here
    unfinished.mkdir()
    weights = save(network, unfinished / "embedded.safetensors")
    shutil.copyfile(latents_path(z), latents_path(weights))
    earlier = [] if cfg.start is None else all_hashes_paths(card_of_start(cfg))
    hashes = write_hashes(names, images, weights)
    for number, path in enumerate((p for p in earlier if p.read_bytes() != hashes.read_bytes()), start=1):
        shutil.copyfile(path, hashes.with_name(f"{hashes.stem}-{number}.npz"))
    # Describe it in the card; score what is stored, float16 rounding included.
    stored = load_embedded(weights, unseen_scale=1.0)
    faces = valid[: cfg.card_faces]
    card = describe_z(cfg, z, faces, len(names), hours["z"]) if cfg.steps else read_card(card_of_start(cfg))
    few = valid[: cfg.grid.card_faces]
    grid = describe_grid(cfg, stored, few, len(names), hours["grid"]) if cfg.grid.steps else None
    known = known_faces(cfg, names, valid_names)
    licence = CELEBA_LICENCE if known["celeba_ids"] else LICENCE
    facts: dict[str, Any] = {"licence": licence, "grid": grid, **known}
    write_card(dataclasses.replace(card, **facts), weights.with_suffix(".json"))
    return _move_in(unfinished, out)


def _move_in(unfinished: Path, out: Path) -> Path:
    """Replace weights in a folder, removing the old ones first and adding the new ones last; returns their path.

    At no time do weights lie there without their card and hashes.
    """
    weights = out / "embedded.safetensors"
    for path in (weights, *all_hashes_paths(weights)):
        path.unlink(missing_ok=True)
    for path in sorted(unfinished.iterdir(), key=lambda path: path.name == weights.name):
        path.replace(out / path.name)
    unfinished.rmdir()
    return weights


def score(stored: EmbeddedNetwork, faces: Tensor) -> tuple[float, dict[str, object]]:
    """Reverse uint8 faces [N, 3, 128, 128]; returns the unseen scale and the scores for the card."""
    ssim, trace = reversal_scores(stored, faces, SSIM(), None, 1.0)
    scale = choose_unseen_scale(trace)
    mse, _ = reversal_scores(stored, faces, MSE(), None, 1.0)
    extreme, _ = reversal_scores(stored, faces, SSIM(), 1.0, scale)
    return scale, {
        "faces": f"the first {len(faces)} validation faces, never trained on; default reversal",
        "loss=ssim quant=none": ssim,
        "loss=mse quant=none": mse,
        "loss=ssim quant=extreme entropy=bz2": extreme,
    }


def describe_z(cfg: DictConfig, z: Path, faces: Tensor, num_trained_on: int, hours: float) -> ModelCard:
    """Return the card of z alone.

    Args:
        cfg: the training's.
        z: its stored weights.
        faces: to score on, uint8 [N, 3, 128, 128].
        num_trained_on: number of training faces.
        hours: that it took.
    """
    stored = load_embedded(z, unseen_scale=1.0)
    scale, scores = score(stored, faces)
    return ModelCard(
        name="embedded",
        unseen_scale=scale,
        latents="512, each from U[-1, 1]",
        latents_table=describe_table(cfg.table_faces, cfg.nudged_faces, num_trained_on),
        picture="128 x 128 RGB, framed as img[57:185, 25:153] of an aligned CelebA image",
        parameters=sum(p.numel() for p in stored.parameters()),
        recipe=_options(cfg, "grid"),
        scores=scores,
        **_describe_run(cfg, num_trained_on, hours),
    )


def describe_grid(
    cfg: DictConfig, stored: EmbeddedNetwork, faces: Tensor, num_trained_on: int, hours: float
) -> dict[str, Any]:
    """Return what the card says of the grid; arguments as for `describe_z`, the network with its grid."""
    grid = grid_of(stored)
    channels, height, width = grid.shape
    return {
        "latents": f"{grid.num_latents}: {channels} channels of {height} x {width}",
        "parameters": sum(p.numel() for p in grid.parameters()),
        **_describe_run(cfg, num_trained_on, hours),
        "recipe": _options(cfg),
        "scores": grid_scores(cfg, stored, faces),
    }


def _describe_run(cfg: DictConfig, num_trained_on: int, hours: float) -> dict[str, Any]:
    """Return the fields of the card about data, command and machine."""
    faces = [Path(f).name for f in cfg.faces]
    return {
        "trained_on": f"{num_trained_on} faces of {', '.join(faces)}, mirrored at random",
        "command": f"python -m ganrev.train train.faces=[{','.join(faces)}] train.valid={Path(cfg.valid).name}, with "
        "the options in recipe",
        "hours": round(hours, 2),
        "machine": provenance()["hardware"],
        "torch": torch.__version__,
    }


def _options(cfg: DictConfig, *left_out: str) -> dict[str, Any]:
    """Return a training's options for the card, less those that name places."""
    options = OmegaConf.to_container(cfg)
    assert isinstance(options, dict)
    return {str(k): v for k, v in options.items() if k not in ("faces", "valid", "out", "manifest", *left_out)}
