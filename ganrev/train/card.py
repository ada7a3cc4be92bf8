"""The model card: what a generator was trained on, for how long, and what it reaches."""

import csv
import json
from pathlib import Path

import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from ganrev.device import Device
from ganrev.entropy import Bzip2
from ganrev.facehash import hash_faces
from ganrev.gan import GanCodec, Trace
from ganrev.generator.embedded import EmbeddedNetwork, latents_path, load, save
from ganrev.losses import MSE, SSIM
from ganrev.metrics import distortion, paper_bytes
from ganrev.overlap import hashes_path
from ganrev.provenance import provenance
from ganrev.quantise import Quantiser
from ganrev.reversal import Reversal
from ganrev.train.latents import write_table

PAPER_EXTREME = 15.0  # the paper's unseen latents reach about [-15, 15]
LICENCE = "CelebA's terms: non-commercial research only (Liu et al. 2015)"


def reversal_scores(
    network: EmbeddedNetwork, faces: Tensor, loss: nn.Module, step: float | None, scale: float
) -> tuple[dict[str, float], Trace]:
    """Compress faces with the default reversal; returns mean scores and the trace.

    Args:
        network: frozen, with its digest.
        faces: uint8 [N, 3, 128, 128].
        loss: what reversal descends.
        step: of the quantiser, None for float32 latents.
        scale: on z before rounding.
    """
    traces: list[Trace] = []
    codec = GanCodec(
        network, loss, Quantiser(step), Bzip2(), Reversal(), Device(), latent_scale=scale, on_trace=traces.append
    )
    blobs = codec.encode(faces)
    rows = [distortion(face, drawn) for face, drawn in zip(faces, codec.decode(blobs), strict=True)]
    scores = {key: sum(row[key] for row in rows) / len(rows) for key in ("ssim", "psnr")}
    scores["paper_bytes"] = sum(map(paper_bytes, blobs)) / len(blobs)
    return {key: round(value, 4) for key, value in scores.items()}, traces[0]


def choose_unseen_scale(trace: Trace) -> float:
    """Return the factor that brings the largest latent of a picture, on average, to the paper's 15."""
    largest = trace.snapshots[:, 0, -1].abs().amax(dim=1).mean()
    return round(PAPER_EXTREME / float(largest), 1)


def read_manifest(path: Path | None, names: list[str], valid_names: list[str]) -> dict[str, list[int]]:
    """Return CelebA's ids and identities of the training and validation faces, where a manifest tells them.

    The harness reads them (`ganrev.data.known`): it refuses the ones as test pictures and draws around the others.
    """
    if path is None:
        return {}
    with path.open(newline="") as file:
        identities = {int(row["celeba_id"]): int(row["identity"]) for row in csv.DictReader(file)}
    numbers = {}
    for prefix, faces in (("", names), ("tuned_", valid_names)):
        ids = sorted(i for i in (int(name) for name in faces if name.isdigit()) if i in identities)
        numbers[f"{prefix}celeba_ids"] = ids
        numbers[f"{prefix}celeba_identities"] = sorted({identities[i] for i in ids})
    return numbers


def write_hashes(names: list[str], images: Tensor, weights: Path) -> Path:
    """Write perceptual hashes of the training faces beside the weights, in the order of their names."""
    order = sorted(range(len(names)), key=names.__getitem__)
    return hash_faces(images[order]).save(hashes_path(weights))


def publish(
    cfg: DictConfig,
    network: EmbeddedNetwork,
    corpus: tuple[list[str], Tensor],
    validation: tuple[list[str], Tensor],
    seconds: float,
) -> Path:
    """Write into the training folder all that belongs to the weights.

    Args:
        cfg: the training's.
        network: trained.
        corpus: names and uint8 pictures [N, 3, 128, 128] of the training faces.
        validation: the same of the validation faces.
        seconds: the training took.

    Returns:
        The path of `embedded.safetensors`; beside it lie the card, `embedded.json`, hashes of the training faces,
        `embedded.hashes.npz`, and the table of latents, `embedded.latents.safetensors`.
    """
    (names, images), (valid_names, valid) = corpus, validation
    weights = Path(cfg.out) / "embedded.safetensors"
    latents_path(weights).unlink(missing_ok=True)  # of other weights, and loaded with these as if it were theirs
    save(network, weights)
    write_hashes(names, images, weights)
    table = write_table(weights, images, cfg.table_faces, cfg.nudged_faces)
    stored = load(weights, unseen_scale=1.0)  # score what is stored, float16 rounding included
    scale, scores = score(stored, valid[: cfg.card_faces])
    card = {
        "name": "embedded",
        "unseen_scale": scale,
        "latents": "512, each from U[-1, 1]",
        "latents_table": table,
        **describe_training(cfg, stored, len(names), seconds),
        "scores": scores,
        **read_manifest(Path(cfg.manifest) if cfg.manifest else None, names, valid_names),
    }
    weights.with_suffix(".json").write_text(_join_numbers(json.dumps(card, indent=1)) + "\n")
    return weights


def score(stored: EmbeddedNetwork, faces: Tensor) -> tuple[float, dict[str, object]]:
    """Reverse uint8 faces [N, 3, 128, 128]; returns the unseen scale and what the card tells as scores."""
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


def describe_training(cfg: DictConfig, stored: EmbeddedNetwork, num_faces: int, seconds: float) -> dict[str, object]:
    """Return what the card tells of data, licence, machine and recipe."""
    return {
        "picture": "128 x 128 RGB, framed as img[57:185, 25:153] of an aligned CelebA image",
        "parameters": sum(p.numel() for p in stored.parameters()),
        "licence": LICENCE,
        "trained_on": f"{num_faces} faces of {', '.join(Path(f).name for f in cfg.faces)}, mirrored at random",
        "hours": round(seconds / 3600, 2),
        "machine": provenance()["hardware"],
        "torch": torch.__version__,
        "recipe": {k: v for k, v in cfg.items() if k not in ("faces", "valid", "out", "manifest")},
    }


def _join_numbers(text: str) -> str:
    """Put runs of bare numbers on one line: thousands of ids, one a line, hide the rest of the card."""
    lines: list[str] = []
    for line in text.splitlines():
        bare = line.strip().rstrip(",").isdigit()
        if bare and lines and len(lines[-1]) < 110 and lines[-1].split()[-1].rstrip(",").isdigit():
            lines[-1] += " " + line.strip()
        else:
            lines.append(line)
    return "\n".join(lines)
