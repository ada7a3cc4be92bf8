"""`python -m ganrev.evaluation.decoding RUN PID`: decode a run's files, given its codec but not its pictures.

Standard input is JSON: null, or batches of names of the files to decode. PID is the process that waits for the result:
when that is killed this one ends too, so that it does not write into a folder that another process now uses.
"""

import json
import os
import sys
import time

import torch
from hydra.utils import instantiate

from ganrev.codecs.base import Codec
from ganrev.evaluation.run_folder import RunFolder

BATCH_SIZE = 16


def decode_folder(
    run: RunFolder, batches: list[list[str]] | None = None, parent: int | None = None
) -> dict[str, float]:
    """Write the pictures of a run's files; returns decode seconds by name, a batch's time shared equally.

    Batches that the run's journal holds are taken from there.

    Args:
        run: whose config names the codec, and whose files are read.
        batches: names of the files of each batch; None for all files, in the order of their names.
        parent: id of a process; this one ends with it.
    """
    codec = instantiate(run.config.codec)
    run = RunFolder(run.path, codec.suffix)
    if batches is None:
        names = run.blob_names
        batches = [names[begin : begin + BATCH_SIZE] for begin in range(0, len(names), BATCH_SIZE)]
    journal = run.journal("decode")
    seconds: dict[str, float] = {}
    warm = False
    for names in batches:
        if parent not in (None, os.getppid()):
            raise SystemExit(f"process {parent} is gone")
        found = journal.find(names)
        if found is None:
            if not warm:  # the first call also sets the library up, which is not to be timed
                codec.decode([run.blob(names[0])])
                warm = True
            found = (_decode_batch(codec, names, run), {})
            journal.keep(names, *found)
        seconds |= found[0]
    return seconds


def _decode_batch(codec: Codec, names: list[str], run: RunFolder) -> dict[str, float]:
    blobs = [run.blob(name) for name in names]
    began = time.perf_counter()
    images = codec.decode(blobs)
    elapsed = (time.perf_counter() - began) / len(names)
    for name, image in zip(names, images, strict=True):
        run.write_decoded(name, image)
    return dict.fromkeys(names, elapsed)


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    print(json.dumps(decode_folder(RunFolder(sys.argv[1]), json.load(sys.stdin), int(sys.argv[2]))))
