"""Merge the shards of each run into the run that one machine would make.

Shards are runs with `data.shard=i/n`. They lie beside other runs as `<run_id>-<i>of<n>`; what is merged is called
`<run_id>`, so that tables take it as finished.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ganrev.evaluation import stages
from ganrev.evaluation.provenance import combine
from ganrev.evaluation.record import SCHEMA_VERSION
from ganrev.evaluation.run_folder import RunFolder
from ganrev.evaluation.run_identity import parse_shard_name
from ganrev.files import no_folder

_COUNTS = (
    *("images_seen_in_training", "images_alike_in_training", "images_unchecked_in_training"),
    *("lanes", "lanes_diverged"),
)


@dataclass(frozen=True)
class Shard:
    """A finished shard: its run, and i and n of i/n."""

    run: RunFolder
    number: int
    num_shards: int

    def __str__(self) -> str:
        return f"{self.number}/{self.num_shards}"


def find_shards(folders: Sequence[Path]) -> dict[str, list[Shard]]:
    """Return the finished shards in folders of runs, by the id of the run that they are parts of.

    Raises:
        ValueError: a folder is missing.
    """
    found = defaultdict(list)
    for folder in folders:
        if not folder.is_dir():
            raise ValueError(f"{no_folder(folder)}; give folders of runs, such as results/runs")
        for path in sorted(folder.iterdir()):
            parsed, run = parse_shard_name(path.name), RunFolder(path)
            if parsed and run.is_finished:
                found[parsed[0]].append(Shard(run, *parsed[1:]))
    return dict(found)


def check_shards(shards: Sequence[Shard]) -> list[RunFolder]:
    """Return a run's shards in their order.

    Raises:
        ValueError: a shard is missing, two overlap, or they were not made alike.
    """
    first = shards[0]
    for other in shards[1:]:
        if other.num_shards != first.num_shards:
            raise ValueError(f"{first.run} and {other.run} overlap: remove the shards of one of the two divisions")
    by_number: dict[int, Shard] = {}
    for shard in shards:
        if shard.number in by_number:
            raise ValueError(f"{by_number[shard.number].run} and {shard.run} are the same shard; remove one")
        by_number[shard.number] = shard
    missing = [f"{number}/{first.num_shards}" for number in range(1, first.num_shards + 1) if number not in by_number]
    if missing:
        there = " ".join(str(by_number[number]) for number in sorted(by_number))
        raise ValueError(f"data.shard={','.join(missing)} missing, or not finished; there is {there}")
    runs = [by_number[number].run for number in sorted(by_number)]
    for run in runs:
        run.check()
    _check_alike(runs)
    return runs


def _check_alike(runs: Sequence[RunFolder]) -> None:
    """Raise ValueError for shards of other batches or other columns."""
    sizes = {run.config.batch_size for run in runs}
    if len(sizes) > 1:
        raise ValueError(f"its shards were made with batch_size {' and '.join(map(str, sorted(sizes)))}; repeat some")
    if len({tuple(run.rows.columns) for run in runs}) > 1:
        raise ValueError(
            "its shards have different columns: some were made without an extra (perceptual, opponents, identity) or "
            "by an older version; make those again where all are installed"
        )


def merge(runs: Sequence[RunFolder], target: RunFolder) -> None:
    """Write to the folder `target` the run that one machine would have made, given its shards in their order."""
    config = runs[0].config
    config.data.shard = None
    target.write_config(config)
    for run in runs:
        run.link_pictures(target)
    target.write_provenance(combine([run.provenance for run in runs]))
    rows = pd.concat([run.rows for run in runs], ignore_index=True)
    # A shard ranks among its own pictures only, which is easier than among all.
    rows = rows.drop(columns="identity_rank", errors="ignore")
    target.write_rows(rows)
    target.write_traces([run.traces_path for run in runs if run.traces_path.exists()])
    target.write_summary(_summarise(rows, [run.summary for run in runs], runs[0].suffix))


def _summarise(rows: pd.DataFrame, summaries: Sequence[dict[str, Any]], suffix: str) -> dict[str, Any]:
    """Return the summary of all rows, with counts added over all shards."""
    summary = (
        {"schema": SCHEMA_VERSION, "suffix": suffix}
        | stages.summarise(rows)
        | {
            "image_size": summaries[0]["image_size"],
            "images_failed": {name: why for summary in summaries for name, why in summary["images_failed"].items()},
            "images_skipped": summaries[0]["images_skipped"],  # every shard has read all files
        }
    )
    return summary | {key: sum(summary.get(key, 0) for summary in summaries) for key in _COUNTS}


def collect(run: str, shards: Sequence[Shard], out: Path) -> RunFolder:
    """Merge the shards of a run, unless that has been done; returns the run in `out`.

    Raises:
        ValueError: a shard is missing, two overlap, or they were not made alike.
    """
    runs, target = check_shards(shards), RunFolder(out / run)
    with target.lock:
        if not target.is_finished or target.find_damage():
            partial = target.under_way("merged")
            partial.remove()
            partial.begin()
            merge(runs, partial)
            partial.finish(target)
    return target
