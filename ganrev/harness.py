"""Put a codec to the test: encode, decode in a process that never saw the pictures, score.

The stages leave files in the run's folder, and each reads only what the one before it left.
"""

import json
import logging
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from ganrev import metrics
from ganrev.codec import Codec
from ganrev.data.pictures import Pictures
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


@dataclass(frozen=True)
class Encoded:
    """What encoding left beside the files.

    Attributes:
        seconds: encode time by name, the batch's time shared equally.
        failed: reason by name, for pictures that the codec refused.
    """

    seconds: dict[str, float]
    failed: dict[str, str]


def check_batch_size(batch_size: object) -> int:
    """Return the option as an int; ValueError unless it is a whole number of at least 1."""
    if not (is_whole(batch_size) and batch_size >= 1):
        raise ValueError(f"batch_size must be a whole number of at least 1, got {batch_size!r}")
    return int(batch_size)


def encode_all(codec: Codec, pictures: Pictures, folder: Path, batch_size: int) -> Encoded:
    """Write `folder/blobs/<name><suffix>` for each picture; a batch that fails is tried one by one."""
    batch_size = check_batch_size(batch_size)
    blobs_dir = folder / "blobs"
    blobs_dir.mkdir(parents=True)
    seconds: dict[str, float] = {}
    failed: dict[str, str] = {}
    bar = tqdm(total=len(pictures.names), desc="encoding", unit="picture", leave=False)
    for begin in range(0, len(pictures.names), batch_size):
        batch = slice(begin, begin + batch_size)
        names, images = pictures.names[batch], pictures.images[batch]
        for group, blobs, elapsed in _encode_batch(codec, names, images, failed):
            for name, blob in zip(group, blobs, strict=True):
                (blobs_dir / f"{name}{codec.suffix}").write_bytes(blob)
                seconds[name] = elapsed / len(group)
        bar.update(len(names))
    bar.close()
    return Encoded(seconds, failed)


def _encode_batch(codec: Codec, names: list[str], images: Tensor, failed: dict[str, str]):
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
            yield from _encode_batch(codec, [name], image[None], failed)


def decode_all(folder: Path) -> dict[str, float]:
    """Decode `folder/blobs` in a separate process; returns decode seconds by name.

    Raises:
        RuntimeError: that process failed; its message is passed on.
    """
    command = [sys.executable, "-m", "ganrev.decoding", str(folder)]
    # Whatever this process can import, run from another folder or not, that one can too.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise RuntimeError(f"decoding {folder} failed:\n{done.stderr.strip()}")
    return json.loads(done.stdout.splitlines()[-1])


def read_decoded(folder: Path, name: str) -> Tensor:
    """Return uint8 [3, H, W] of `folder/decoded/<name>.png`."""
    with Image.open(folder / "decoded" / f"{name}.png") as picture:
        return from_pillow(picture)


def score(pictures: Pictures, folder: Path, suffix: str, encoded: Encoded, decode: dict[str, float]) -> pd.DataFrame:
    """Return one row a picture (`COLUMNS`, then `png_paper_bytes` and, where its extra is there, `stlpips`)."""
    kept = [i for i, name in enumerate(pictures.names) if name not in encoded.failed]
    rows, decoded = [], []
    for i in tqdm(kept, desc="scoring", unit="picture", leave=False):
        name, image = pictures.names[i], pictures.images[i]
        blob = (folder / "blobs" / f"{name}{suffix}").read_bytes()
        decoded.append(read_decoded(folder, name))
        height, width = image.shape[-2:]
        paper = metrics.paper_bytes(blob)
        rows.append(
            {
                "name": name,
                "celeba_id": pictures.celeba_ids[i],
                "num_bytes": len(blob),
                "paper_bytes": paper,
                "bpp": metrics.bits_per_pixel(len(blob), height, width),
                "paper_bpp": metrics.bits_per_pixel(paper, height, width),
                **metrics.distortion(image, decoded[-1]),
                "encode_seconds": encoded.seconds[name],
                "decode_seconds": decode[name],
                "png_paper_bytes": metrics.png_paper_bytes(image),
            }
        )
    frame = pd.DataFrame(rows).astype({"celeba_id": "Int64"}) if rows else pd.DataFrame(columns=list(COLUMNS))
    if rows:
        distances = metrics.stlpips(pictures.images[kept], torch.stack(decoded))
        if distances is not None:
            frame["stlpips"] = distances
    return frame


def summarise(rows: pd.DataFrame) -> dict:
    """Return means, 95 % half widths and the compression ratio over a run's rows.

    CR is the bzip2'd PNG over the codec's bytes, a ratio of means: `cr` from the paper's count, `file_cr` from
    whole files.
    """
    skip = ("name", "celeba_id")
    columns = [c for c in rows.columns if c not in skip]
    pairs = {c: metrics.mean_and_interval(rows[c].astype(float).tolist()) for c in columns}
    means = {c: pair[0] for c, pair in pairs.items()}
    return {
        "num_images": len(rows),
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
