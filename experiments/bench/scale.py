"""`make scale`: peak memory of runs over few and many pictures, of decoding their files, and of `make table1`.

Each is a process of its own, whose peak is that of the largest process that it consists of. Between few and many
pictures only what must be kept may grow: the pictures, 48 KiB each.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ganrev.evaluation.child import child_environment, python_module
from ganrev.progress import ProgressBar

SIDE = 128
PICTURE = 3 * SIDE * SIDE / 2**20  # MiB


def write_pictures(folder: Path, number: int) -> None:
    """Write small JPEG files of 128 x 128, all different."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for place in ProgressBar(range(number), desc="writing pictures", leave=False):
        coarse = Image.fromarray(rng.integers(256, size=(5, 5, 3), dtype=np.uint8))
        buffer = io.BytesIO()
        coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(buffer, format="JPEG", quality=60)
        (folder / f"{place:06}.jpg").write_bytes(buffer.getvalue())


def peak(command: Sequence[str], environment: dict[str, str]) -> float:
    """Run a command to its end; returns the peak of its largest process, in MiB.

    Raises:
        RuntimeError: it failed; its message is passed on.
    """
    with tempfile.TemporaryFile("w+") as said:
        child = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            said.seek(0)
            raise RuntimeError(f"{' '.join(command)} failed:\n{said.read()[-2000:]}")
    return usage.ru_maxrss / 2**10


def run_and_decode(folder: Path, number: int) -> dict[str, float]:
    """Return the peaks of a run over a number of pictures, and of decoding its files alone."""
    source, out = folder / f"pictures{number}", folder / f"runs{number}"
    write_pictures(source, number)
    lean = child_environment() | {"TQDM_DISABLE": "1"}
    options = ["codec=jpeg", "codec.quality=10", "data=folder", f"data.root={source}", "data.limit=null", f"out={out}"]
    found = {"run": peak([*python_module("ganrev.cli", "run"), *options], lean)}
    (run,) = out.glob("jpeg-*")
    # Decode once more: without a journal nothing is taken from there.
    decode = "import sys; from ganrev.evaluation.decoding import decode_folder; "
    decode += "from ganrev.evaluation.run_folder import RunFolder; decode_folder(RunFolder(sys.argv[1]))"
    return found | {"decode": peak([sys.executable, "-P", "-c", decode, str(run)], lean)}


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: prints a line for each measure, and a file of them."""
    parser = argparse.ArgumentParser(prog="make scale", description=__doc__)
    parser.add_argument("--pictures", type=int, nargs=2, default=(1000, 10_000), help="[default: 1000 10000]")
    parser.add_argument("--table", default="table1", help="whose peak is measured, or none  [default: table1]")
    parser.add_argument("--out", type=Path, default=Path("results/bench/scale.json"))
    options = parser.parse_args(argv)
    few, many = options.pictures
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        for number in (few, many):
            for what, mebibytes in run_and_decode(Path(name), number).items():
                found[f"{what}, {number} pictures"] = mebibytes
                print(f"{what}, {number} pictures: {mebibytes:.0f} MiB", flush=True)
        for what in ("run", "decode"):
            each = (found[f"{what}, {many} pictures"] - found[f"{what}, {few} pictures"]) / (many - few)
            found[f"{what}, each more picture"] = each
            print(f"{what}, each more picture: {1024 * each:.1f} KiB; the picture itself has {1024 * PICTURE:.0f}")
        if options.table != "none":
            table = [*python_module("ganrev.cli", "table"), options.table, f"out={name}/table"]
            found[options.table] = peak(table, child_environment())
            print(f"{options.table}: {found[options.table]:.0f} MiB")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
