"""`python -m experiments.recode RUN quant=extreme entropy=range`: other quantisers for latents that a run has found."""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from ganrev import metrics
from ganrev.errors import plain_errors
from ganrev.recode import recode
from ganrev.run_folder import RunFolder

_SHOWN = ("num_bytes", "paper_bytes", "psnr", "ssim", "stlpips")


def main(argv: Sequence[str] | None = None) -> None:
    """Print means with 95 % intervals and write one row for each picture; a user's mistake prints one line."""
    parser = argparse.ArgumentParser(prog="python -m experiments.recode", description=__doc__)
    parser.add_argument("run", type=Path, metavar="RUN", help="a finished run of codec=gan with quant=none")
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="for example quant=extreme entropy=range")
    parser.add_argument("-o", "--output", type=Path, metavar="CSV", help="one row for each picture")
    arguments = parser.parse_intermixed_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    with plain_errors():
        frame = recode(RunFolder.finished(arguments.run), arguments.overrides)
        print(f"{len(frame)} pictures of {arguments.run.name}, {' '.join(arguments.overrides)}")
        for key in (key for key in _SHOWN if key in frame):
            mean, half = metrics.mean_and_interval(frame[key].tolist())
            interval = f" ± {half:.4f}" if len(frame) > 1 else ""
            print(f"  {key:<12} {mean:.4f}{interval}, from {frame[key].min():.4f} to {frame[key].max():.4f}")
        if arguments.output:
            frame.to_csv(arguments.output, index=False)


if __name__ == "__main__":
    main()
