"""`python -m experiments.collect [FOLDERS]`: merge the shards of each run into the run that one machine would make.

Shards are runs with `data.shard=i/n`. They lie beside other runs as `<run_id>-<i>of<n>`; what is merged is called
`<run_id>`, so that tables take it as finished.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from ganrev.errors import plain_errors
from ganrev.merge import collect, find_shards


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
                merged = collect(run, shards, arguments.folders[0])
                print(f"{merged}: {len(shards)} shards, {merged.summary['num_images']} pictures")
            except ValueError as error:
                print(f"{run}: {error}", file=sys.stderr)
                bad = True
    raise SystemExit(int(bad))


if __name__ == "__main__":
    main()
