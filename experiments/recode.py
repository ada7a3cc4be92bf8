"""`ganrev recode RUN quant=extreme entropy=range`: other quantisers for latents that a run has found."""

from collections.abc import Sequence
from pathlib import Path

from ganrev.evaluation import metrics
from ganrev.evaluation.recode import recode
from ganrev.evaluation.run_folder import RunFolder

_SHOWN = ("num_bytes", "paper_bytes", "psnr", "ssim", "stlpips")


def show_recoded(run: Path, overrides: Sequence[str], output: Path | None = None) -> None:
    """Print means of `recode` with 95 % intervals; write one row for each picture to the CSV `output`, if given."""
    frame = recode(RunFolder.finished(run), overrides)
    print(f"{len(frame)} pictures of {run.name}, {' '.join(overrides)}")
    for key in (key for key in _SHOWN if key in frame):
        mean, half = metrics.mean_and_interval(frame[key].tolist())
        interval = f" ± {half:.4f}" if len(frame) > 1 else ""
        print(f"  {key:<12} {mean:.4f}{interval}, from {frame[key].min():.4f} to {frame[key].max():.4f}")
    if output:
        frame.to_csv(output, index=False)
