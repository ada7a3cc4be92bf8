"""`python -m ganrev.decoding RUN PID`: decode a run's files, knowing its codec and nothing of its pictures.

Standard input is JSON: null, or the names of the files to decode at a time. PID is the process to work for: when it is
killed this one ends too, lest it write into a folder that another has taken over.
"""

import json
import os
import sys
import time
from pathlib import Path

import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from ganrev.codec import Codec
from ganrev.files import write_whole
from ganrev.journal import Journal
from ganrev.pixels import to_png

BATCH_SIZE = 16


def decode_folder(folder: Path, batches: list[list[str]] | None = None, parent: int | None = None) -> dict[str, float]:
    """Write `folder/decoded/<name>.png` for files of `folder/blobs`; returns seconds a picture by name.

    Batches that `folder/journal` holds are taken from there.

    Args:
        folder: a run's.
        batches: names of the files to decode at a time; None for all, in the order of their names.
        parent: the process whose end ends this one.
    """
    if batches is None:
        names = sorted(file.stem for file in (folder / "blobs").iterdir())
        batches = [names[begin : begin + BATCH_SIZE] for begin in range(0, len(names), BATCH_SIZE)]
    codec = instantiate(OmegaConf.load(folder / "config.yaml").codec)
    (folder / "decoded").mkdir(exist_ok=True)
    journal = Journal(folder, "decode")
    seconds: dict[str, float] = {}
    warm = False
    for names in batches:
        if parent not in (None, os.getppid()):
            raise SystemExit(f"process {parent} is gone")
        found = journal.find(names)
        if found is None:
            if not warm:  # the first call also pays for the library's set-up
                codec.decode([_read(folder, names[0], codec)])
                warm = True
            found = (_decode_batch(codec, names, folder), {})
            journal.keep(names, *found)
        seconds |= found[0]
    return seconds


def _decode_batch(codec: Codec, names: list[str], folder: Path) -> dict[str, float]:
    blobs = [_read(folder, name, codec) for name in names]
    began = time.perf_counter()
    images = codec.decode(blobs)
    elapsed = (time.perf_counter() - began) / len(names)
    for name, image in zip(names, images, strict=True):
        write_whole(folder / "decoded" / f"{name}.png", to_png(image))
    return dict.fromkeys(names, elapsed)


def _read(folder: Path, name: str, codec: Codec) -> bytes:
    return (folder / "blobs" / f"{name}{codec.suffix}").read_bytes()


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    print(json.dumps(decode_folder(Path(sys.argv[1]), json.load(sys.stdin), int(sys.argv[2]))))
