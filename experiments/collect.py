"""`ganrev collect [FOLDERS]`: merge the shards of each run into the run that one machine would make.

Shards are runs with `data.shard=i/n`. They lie beside other runs as `<run_id>-<i>of<n>`; what is merged is called
`<run_id>`, so that tables take it as finished.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from ganrev.evaluation.merge import collect, find_shards


def collect_all(folders: Sequence[Path]) -> int:
    """Merge the shards in folders of runs into the first of them, with a line for each run.

    Returns:
        0, or 1 if a run cannot be merged.

    Raises:
        ValueError: there are no shards.
    """
    found = find_shards(folders)
    if not found:
        raise ValueError(f"no shards in {', '.join(map(str, folders))}: runs with data.shard=1/4 and so on")
    status = 0
    for run, shards in found.items():
        try:
            merged = collect(run, shards, folders[0])
            print(f"{merged}: {len(shards)} shards, {merged.summary['num_images']} pictures")
        except ValueError as error:
            print(f"{run}: {error}", file=sys.stderr)
            status = 1
    return status
