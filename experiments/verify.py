"""`python -m experiments.verify RUN ...`: do a run's files still give its scores, and each picture alone the same?"""

import argparse
import logging
from pathlib import Path

from ganrev.errors import plain_errors
from ganrev.run_folder import RunFolder
from ganrev.verify import verify


def main() -> None:
    """Print one line for each run; exit with status 1 where a score changes by more than 1e-3."""
    parser = argparse.ArgumentParser(prog="python -m experiments.verify", description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folders like results/runs/<run_id>")
    parser.add_argument("--alone", type=int, default=0, metavar="N", help="compress the first N pictures alone, too")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    bad = False
    with plain_errors():
        for path in arguments.runs:
            change = verify(RunFolder.finished(path), arguments.alone)
            line = f"{path.name}: decoded again, PSNR within {change.psnr:.1e} dB, SSIM within {change.ssim:.1e}"
            if change.alone is not None:
                line += f"; compressed alone, SSIM within {change.alone:.1e}"
            print(f"{line}{'; CHANGED by more than 1e-3' if change.has_changed else ''}", flush=True)
            bad = bad or change.has_changed
    raise SystemExit(int(bad))


if __name__ == "__main__":
    main()
