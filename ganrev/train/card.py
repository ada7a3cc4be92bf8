"""The model card: what a generator was trained on, for how long, and what it reaches."""

import csv
import json
from pathlib import Path

import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from ganrev.device import Device
from ganrev.entropy import Bzip2
from ganrev.gan import GanCodec, Trace
from ganrev.generator.embedded import EmbeddedNetwork, load, save
from ganrev.losses import MSE, SSIM
from ganrev.metrics import distortion, paper_bytes
from ganrev.provenance import provenance
from ganrev.quantise import Quantiser
from ganrev.reversal import Reversal

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


def read_manifest(path: Path | None, names: list[str]) -> dict[str, list[int]]:
    """Return CelebA's ids and identities of the training faces, where a manifest tells them."""
    if path is None:
        return {}
    wanted = {int(name) for name in names if name.isdigit()}
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if int(row["celeba_id"]) in wanted]
    identities = {int(row["identity"]) for row in rows}
    return {"celeba_ids": sorted(int(row["celeba_id"]) for row in rows), "celeba_identities": sorted(identities)}


def publish(cfg: DictConfig, network: EmbeddedNetwork, names: list[str], valid: Tensor, seconds: float) -> Path:
    """Write `embedded.safetensors` and its card `embedded.json` into the training folder; returns the weights."""
    out = Path(cfg.out)
    weights = save(network, out / "embedded.safetensors")
    stored = load(weights, unseen_scale=1.0)  # score what is stored, float16 rounding included
    faces = valid[: cfg.card_faces]
    ssim, trace = reversal_scores(stored, faces, SSIM(), None, 1.0)
    scale = choose_unseen_scale(trace)
    mse, _ = reversal_scores(stored, faces, MSE(), None, 1.0)
    extreme, _ = reversal_scores(stored, faces, SSIM(), 1.0, scale)
    origin = provenance()
    card = {
        "name": "embedded",
        "unseen_scale": scale,
        "latents": "512, each from U[-1, 1]",
        "picture": "128 x 128 RGB, framed as img[57:185, 25:153] of an aligned CelebA image",
        "parameters": sum(p.numel() for p in stored.parameters()),
        "licence": LICENCE,
        "trained_on": f"{len(names)} faces of {', '.join(Path(f).name for f in cfg.faces)}, mirrored at random",
        "hours": round(seconds / 3600, 2),
        "machine": origin["hardware"],
        "torch": torch.__version__,
        "recipe": {k: v for k, v in cfg.items() if k not in ("faces", "valid", "out", "manifest")},
        "scores": {
            "faces": f"the first {len(faces)} validation faces, never trained on; default reversal",
            "loss=ssim quant=none": ssim,
            "loss=mse quant=none": mse,
            "loss=ssim quant=extreme entropy=bz2": extreme,
        },
        **read_manifest(Path(cfg.manifest) if cfg.manifest else None, names),
    }
    text = json.dumps(card, indent=1)
    (out / "embedded.json").write_text(_join_numbers(text) + "\n")
    return weights


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
