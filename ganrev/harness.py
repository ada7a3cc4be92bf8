"""Put a codec to the test: encode, decode in a process that never saw the pictures, score.

The stages leave files in the run's folder, and each reads only what the one before it left.
"""

import json
import logging
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from ganrev import metrics, trace
from ganrev.auto import Choice
from ganrev.codec import Codec
from ganrev.data.pictures import Pictures
from ganrev.journal import Journal
from ganrev.options import is_whole
from ganrev.pixels import from_pillow

log = logging.getLogger(__name__)

COLUMNS = (
    "name",
    "celeba_id",
    "num_bytes",
    "paper_bytes",
    "bpp",
    "paper_bpp",
    "psnr",
    "mse",
    "ssim",
    "encode_seconds",
    "decode_seconds",
)


_CHOSEN = ("loss", "lr", "restart", "lmbda", "step", "hit")


@dataclass(frozen=True)
class Encoded:
    """What encoding left beside the files.

    Attributes:
        batches: names of the pictures that have a file, batch by batch.
        seconds: encode time by name, the batch's time shared equally.
        failed: reason by name, for pictures that the codec refused.
        choices: what the codec's `on_choice` was given, by name; empty for a codec that has none.
        traces: what the codec's `on_trace` was given, joined (`ganrev.trace`); empty for a codec that has none.
    """

    batches: list[list[str]]
    seconds: dict[str, float]
    failed: dict[str, str]
    choices: dict[str, dict]
    traces: dict[str, np.ndarray]


def check_batch_size(batch_size: object) -> int:
    """Return the option as an int; ValueError unless it is a whole number of at least 1."""
    if not (is_whole(batch_size) and batch_size >= 1):
        raise ValueError(f"batch_size must be a whole number of at least 1, got {batch_size!r}")
    return int(batch_size)


def encode_all(codec: Codec, pictures: Pictures, folder: Path, batch_size: int) -> Encoded:
    """Write `folder/blobs/<name><suffix>` for each picture; a batch that fails is tried one by one.

    Batches that `folder/journal` holds are taken from there.
    """
    batch_size = check_batch_size(batch_size)
    (folder / "blobs").mkdir(parents=True, exist_ok=True)
    journal = Journal(folder, "encode")
    results, traces = [], []
    bar = tqdm(total=len(pictures.names), desc="encoding", unit="picture", leave=False)
    for begin in range(0, len(pictures.names), batch_size):
        batch = slice(begin, begin + batch_size)
        names = pictures.names[batch]
        found = journal.find(names)
        if found is None:
            found = _encode_batch(codec, names, pictures.images[batch], folder / "blobs")
            journal.keep(names, *found)  # after the files: whoever finds it finds them
        results.append(found[0])
        traces += [found[1]] if found[1] else []
        bar.update(len(names))
    bar.close()
    seconds = {name: value for result in results for name, value in result["seconds"].items()}
    failed = {name: reason for result in results for name, reason in result["failed"].items()}
    choices = {name: choice for result in results for name, choice in result["choices"].items()}
    batches = [list(result["seconds"]) for result in results if result["seconds"]]
    return Encoded(batches, seconds, failed, choices, trace.join(traces))


def _encode_batch(
    codec: Codec, names: list[str], images: Tensor, blobs_dir: Path
) -> tuple[dict[str, dict], dict[str, np.ndarray]]:
    """Write a batch's files; returns `seconds`, `failed` and `choices` as in `Encoded`, and the trace."""
    traces: list[trace.Trace] = []
    choices: list[Choice] = []
    if hasattr(codec, "on_trace"):
        codec.on_trace = traces.append
    if hasattr(codec, "on_choice"):
        codec.on_choice = choices.extend
    seconds: dict[str, float] = {}
    failed: dict[str, str] = {}
    for group, blobs, elapsed in _encode(codec, names, images, failed):
        for name, blob in zip(group, blobs, strict=True):
            (blobs_dir / f"{name}{codec.suffix}").write_bytes(blob)
            seconds[name] = elapsed / len(group)
    chosen = {name: asdict(choice) for name, choice in zip(seconds, choices, strict=False)}  # a codec may have none
    return {"seconds": seconds, "failed": failed, "choices": chosen}, trace.join([t.arrays() for t in traces])


def _encode(codec: Codec, names: list[str], images: Tensor, failed: dict[str, str]):
    """Yield (names, blobs, seconds): the batch at once, or picture by picture where one of them is refused."""
    began = time.perf_counter()
    try:
        yield names, codec.encode(images), time.perf_counter() - began
    except ValueError as error:
        if len(names) == 1:
            failed[names[0]] = str(error)
            log.warning("%s could not be encoded: %s", names[0], error)
            return
        for name, image in zip(names, images, strict=True):
            yield from _encode(codec, [name], image[None], failed)


def decode_all(folder: Path, batches: list[list[str]] | None = None) -> dict[str, float]:
    """Decode `folder/blobs` in a separate process; returns decode seconds by name.

    Args:
        folder: a run's.
        batches: names of the files to decode at a time; None for all, in the order of their names.

    Raises:
        RuntimeError: that process failed; its message is passed on.
    """
    command = [sys.executable, "-m", "ganrev.decoding", str(folder), str(os.getpid())]
    # Whatever this process can import, run from another folder or not, that one can too.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        command, input=json.dumps(batches), capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode:
        raise RuntimeError(f"decoding {folder} failed:\n{done.stderr.strip()}")
    return json.loads(done.stdout.splitlines()[-1])


def read_decoded(folder: Path, name: str) -> Tensor:
    """Return uint8 [3, H, W] of `folder/decoded/<name>.png`."""
    with Image.open(folder / "decoded" / f"{name}.png") as picture:
        return from_pillow(picture)


def score(pictures: Pictures, folder: Path, suffix: str, encoded: Encoded, decode: dict[str, float]) -> pd.DataFrame:
    """Return one row a picture: `COLUMNS`, `png_paper_bytes`, `stlpips` where its extra is there, `chosen_…`."""
    journal = Journal(folder, "score")
    position = {name: i for i, name in enumerate(pictures.names)}
    rows = []
    for names in tqdm(encoded.batches, desc="scoring", unit="batch", leave=False):
        found = journal.find(names)
        if found is None:
            images = pictures.images[[position[name] for name in names]]
            found = ({"scores": _score_batch(names, images, folder, suffix)}, {})
            journal.keep(names, *found)
        for name, scores in zip(names, found[0]["scores"], strict=True):
            seconds = {"encode_seconds": encoded.seconds[name], "decode_seconds": decode[name]}
            chosen = {f"chosen_{key}": encoded.choices[name][key] for key in _CHOSEN if name in encoded.choices}
            rows.append({"name": name, "celeba_id": pictures.celeba_ids[position[name]]} | scores | seconds | chosen)
    if not rows:
        return pd.DataFrame(columns=list(COLUMNS))
    others = [key for key in rows[0] if key not in COLUMNS]
    return pd.DataFrame(rows, columns=[*COLUMNS, *others]).astype({"celeba_id": "Int64"})


def _score_batch(names: list[str], images: Tensor, folder: Path, suffix: str) -> list[dict[str, float]]:
    """Return the scores of each picture of a batch, uint8 [N, 3, H, W], by their columns."""
    decoded = torch.stack([read_decoded(folder, name) for name in names])
    height, width = images.shape[-2:]
    scores = []
    for name, image, drawn in zip(names, images, decoded, strict=True):
        blob = (folder / "blobs" / f"{name}{suffix}").read_bytes()
        paper = metrics.paper_bytes(blob)
        rate = {
            "num_bytes": len(blob),
            "paper_bytes": paper,
            "bpp": metrics.bits_per_pixel(len(blob), height, width),
            "paper_bpp": metrics.bits_per_pixel(paper, height, width),
        }
        scores.append(rate | metrics.distortion(image, drawn) | {"png_paper_bytes": metrics.png_paper_bytes(image)})
    distances = metrics.stlpips(images, decoded)
    if distances is None:
        return scores
    return [one | {"stlpips": distance} for one, distance in zip(scores, distances, strict=True)]


def summarise(rows: pd.DataFrame) -> dict:
    """Return means, 95 % half widths and the compression ratio over a run's rows.

    CR is the bzip2'd PNG over the codec's bytes, a ratio of means: `cr` from the paper's count, `file_cr` from
    whole files.
    """
    skip = ("name", "celeba_id")
    columns = [c for c in rows.columns if c not in skip and not c.startswith("chosen_")]
    pairs = {c: metrics.mean_and_interval(rows[c].astype(float).tolist()) for c in columns}
    means = {c: pair[0] for c, pair in pairs.items()}
    return {
        "num_images": len(rows),
        "targets_missed": int((~rows["chosen_hit"]).sum()) if "chosen_hit" in rows else 0,
        "mean": means,
        "ci95": {c: pair[1] for c, pair in pairs.items()},
        "cr": means["png_paper_bytes"] / means["paper_bytes"],
        "file_cr": means["png_paper_bytes"] / means["num_bytes"],
    }


def to_json(value: dict) -> str:
    """Write JSON that every reader takes: infinite numbers as the string `inf`, undefined ones as null."""

    def clean(item):
        if isinstance(item, dict):
            return {key: clean(inner) for key, inner in item.items()}
        if isinstance(item, list | tuple):
            return [clean(inner) for inner in item]
        if isinstance(item, float) and not np.isfinite(item):
            return None if np.isnan(item) else str(item)
        return item

    return json.dumps(clean(value), indent=2, allow_nan=False) + "\n"
