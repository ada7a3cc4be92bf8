"""`ganrev verify RUN ...`: do a run's files still give its scores, and each picture alone the same?"""

from collections.abc import Sequence
from pathlib import Path

from ganrev.evaluation.run_folder import RunFolder
from ganrev.evaluation.verify import verify


def verify_all(runs: Sequence[Path], num_alone: int = 0) -> int:
    """Print a line for each run; returns 1 where a score changes by more than 1e-3, else 0.

    Args:
        runs: folders of finished runs.
        num_alone: how many pictures of each, the first, to compress alone as well.
    """
    status = 0
    for path in runs:
        change = verify(RunFolder.finished(path), num_alone)
        line = f"{path.name}: decoded again, PSNR within {change.psnr:.1e} dB, SSIM within {change.ssim:.1e}"
        if change.alone is not None:
            line += f"; compressed alone, SSIM within {change.alone:.1e}"
        print(f"{line}{'; CHANGED by more than 1e-3' if change.has_changed else ''}", flush=True)
        status = status or int(change.has_changed)
    return status
