"""`python -m ganrev.decoding RUN`: decode a run's files, knowing its codec and nothing of its pictures."""

import json
import sys
import time
from pathlib import Path

import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from ganrev.pixels import to_png

BATCH_SIZE = 16


def decode_folder(folder: Path) -> dict[str, float]:
    """Write `folder/decoded/<name>.png` for each file of `folder/blobs`; returns seconds a picture by name."""
    codec = instantiate(OmegaConf.load(folder / "config.yaml").codec)
    files = sorted((folder / "blobs").iterdir())
    (folder / "decoded").mkdir(exist_ok=True)
    seconds: dict[str, float] = {}
    for begin in range(0, len(files), BATCH_SIZE):
        batch = files[begin : begin + BATCH_SIZE]
        blobs = [file.read_bytes() for file in batch]
        if begin == 0:
            codec.decode(blobs[:1])  # burn-in: the first call also pays for the library's set-up
        began = time.perf_counter()
        images = codec.decode(blobs)
        elapsed = (time.perf_counter() - began) / len(batch)
        for file, image in zip(batch, images, strict=True):
            (folder / "decoded" / f"{file.stem}.png").write_bytes(to_png(image))
            seconds[file.stem] = elapsed
    return seconds


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    print(json.dumps(decode_folder(Path(sys.argv[1]))))
