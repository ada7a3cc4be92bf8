"""`python -m experiments.collect [FOLDERS]`: merge the shards of each run into the run that one machine would make.

Shards are runs with `data.shard=i/n`. They lie beside other runs as `<run_id>-<i>of<n>`; what is merged is called
`<run_id>`, so that tables take it as finished.
"""

import argparse
import json
import logging
import os
import re
import shutil
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock
from omegaconf import OmegaConf

from ganrev import harness, trace
from ganrev.errors import plain_errors
from ganrev.provenance import combine
from ganrev.runner import finish, load_rows, load_summary

_NAME = re.compile(r"(.+-[0-9a-f]{12})-([0-9]+)of([0-9]+)")
_SEEN = ("images_seen_in_training", "images_alike_in_training", "images_unchecked_in_training")
_COUNTS = (*_SEEN, "lanes", "lanes_diverged")


@dataclass(frozen=True)
class Shard:
    """A finished shard: its run folder, and i and n of i/n."""

    folder: Path
    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def find_shards(folders: Sequence[Path]) -> dict[str, list[Shard]]:
    """Return the finished shards in folders of runs, by the id of the run that they are parts of.

    Raises:
        ValueError: a folder is missing.
    """
    found = defaultdict(list)
    for folder in folders:
        if not folder.is_dir():
            raise ValueError(f"there is no folder {folder}; give folders of runs, such as results/runs")
        for path in sorted(folder.iterdir()):
            match = _NAME.fullmatch(path.name)
            if match and (path / "summary.json").exists():
                found[match[1]].append(Shard(path, int(match[2]), int(match[3])))
    return dict(found)


def check(shards: Sequence[Shard]) -> list[Path]:
    """Return the folders of a run's shards in their order.

    Raises:
        ValueError: a shard is missing, two overlap, or they were not made alike.
    """
    first = shards[0]
    for other in shards[1:]:
        if other.count != first.count:
            raise ValueError(
                f"{first.folder} and {other.folder} overlap: remove the shards of one of the two divisions"
            )
    by_number = {}
    for shard in shards:
        if shard.number in by_number:
            raise ValueError(f"{by_number[shard.number].folder} and {shard.folder} are the same shard; remove one")
        by_number[shard.number] = shard
    missing = [f"{number}/{first.count}" for number in range(1, first.count + 1) if number not in by_number]
    if missing:
        there = " ".join(str(by_number[number]) for number in sorted(by_number))
        raise ValueError(f"data.shard={','.join(missing)} missing, or not finished; there is {there}")
    folders = [by_number[number].folder for number in sorted(by_number)]
    sizes = {OmegaConf.load(folder / "config.yaml").batch_size for folder in folders}
    if len(sizes) > 1:
        raise ValueError(f"its shards were made with batch_size {' and '.join(map(str, sorted(sizes)))}; repeat some")
    if len({tuple(load_rows(folder).columns) for folder in folders}) > 1:
        raise ValueError("its shards have different columns: some lack the extra `perceptual`; install it and repeat")
    return folders


def merge(folders: Sequence[Path], target: Path) -> None:
    """Write to the folder `target` what one machine would have left of the shards in `folders`, in their order."""
    config = OmegaConf.load(folders[0] / "config.yaml")
    config.data.shard = None
    OmegaConf.save(config, target / "config.yaml")
    for folder in folders:
        for kind in ("blobs", "decoded"):
            shutil.copytree(folder / kind, target / kind, copy_function=_link, dirs_exist_ok=True)
    origins = [json.loads((folder / "provenance.json").read_text()) for folder in folders]
    (target / "provenance.json").write_text(harness.to_json(combine(origins)))
    rows = pd.concat([load_rows(folder) for folder in folders], ignore_index=True)
    rows.to_csv(target / "rows.csv", index=False)
    traces = [dict(np.load(file)) for folder in folders if (file := folder / "traces.npz").exists()]
    if traces:
        np.savez_compressed(target / "traces.npz", **trace.join(traces))
    summaries = [load_summary(folder) for folder in folders]
    summary = harness.summarise(rows) | {
        "image_size": summaries[0]["image_size"],
        "images_failed": {name: why for summary in summaries for name, why in summary["images_failed"].items()},
        "images_skipped": summaries[0]["images_skipped"],  # every shard has read all files
    }
    summary |= {key: sum(summary.get(key, 0) for summary in summaries) for key in _COUNTS}
    (target / "summary.json").write_text(harness.to_json(summary))


def _link(source: str, target: str) -> None:
    """Link a file, or copy it where links do not reach."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def collect(run: str, shards: Sequence[Shard], out: Path) -> Path:
    """Merge the shards of a run, unless that has been done; returns the run's folder in `out`.

    Raises:
        ValueError: a shard is missing, two overlap, or they were not made alike.
    """
    folders = check(shards)
    with FileLock(out / f".{run}.lock"):
        if not (out / run / "summary.json").exists():
            partial = out / f".{run}.merged"
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            merge(folders, partial)
            finish(partial, out / run)
    return out / run


def main(argv: Sequence[str] | None = None) -> None:
    """Print a line for each run that has shards; exits with 1 if one cannot be merged, with 2 where there is none."""
    parser = argparse.ArgumentParser(prog="python -m experiments.collect", description=__doc__.split(": ", 1)[1])
    parser.add_argument(
        "folders",
        nargs="*",
        type=Path,
        default=[Path("results/runs")],
        metavar="FOLDER",
        help="of runs, several if machines share no disk; merged runs go to the first (results/runs)",
    )
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    bad = False
    with plain_errors():
        found = find_shards(arguments.folders)
        if not found:
            raise ValueError(
                f"no shards in {', '.join(map(str, arguments.folders))}: runs with data.shard=1/4 and so on"
            )
        for run, shards in found.items():
            try:
                folder = collect(run, shards, arguments.folders[0])
                print(f"{folder}: {len(shards)} shards, {load_summary(folder)['num_images']} pictures")
            except ValueError as error:
                print(f"{run}: {error}", file=sys.stderr)
                bad = True
    raise SystemExit(int(bad))


if __name__ == "__main__":
    main()
