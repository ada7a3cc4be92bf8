"""The printed summary of a finished run."""

from typing import Any

from ganrev.evaluation import metrics
from ganrev.evaluation.run_folder import RunFolder
from ganrev.wording import counted

_SHOWN = (  # column, label, digits
    ("num_bytes", "bytes, whole file", 1),
    ("paper_bytes", "bytes, paper count", 1),
    ("paper_bpp", "bits per pixel, paper count", 4),
    ("psnr", "PSNR, dB", 2),
    ("mse", "MSE", 1),
    ("ssim", "SSIM", 4),
    ("ms_ssim", "MS-SSIM, four scales", 4),
    ("stlpips", "ST-LPIPS, VGG", 4),
    ("ssimulacra2", "SSIMULACRA2", 1),
    ("delta_e", "colour error, CIEDE2000", 2),
    ("identity", "identity, distance of descriptors", 3),
    ("encode_seconds", "seconds to encode, per picture", 2),
    ("decode_seconds", "seconds to decode, per picture", 4),
)
_TRAINING = {
    "images_seen_in_training": "the codec was trained on",
    "images_alike_in_training": "look like faces that the codec was trained on, under other CelebA numbers",
    "images_unchecked_in_training": "may be among those that the codec was trained on, of which there is no record",
}


def training_notes(summary: dict[str, Any]) -> list[str]:
    """Return sentences on pictures of a run that its generator was, or may have been, trained on."""
    counts = {text: summary.get(key, 0) for key, text in _TRAINING.items()}  # older runs lack them
    return [f"{count} of {counted(summary['num_images'], 'picture')} {text}" for text, count in counts.items() if count]


def scoring_notes(summary: dict[str, Any]) -> list[str]:
    """Say what a run lacks that a run of today would have."""
    size = summary["image_size"]
    if "stlpips" in summary["mean"] or not metrics.takes_stlpips(size, size):
        return []
    return ["no ST-LPIPS: the run was finished without the extra `perceptual`, installed now; force=true repeats it"]


def describe(run: RunFolder) -> str:
    """Return a few lines about a finished run, to be printed."""
    summary = run.summary
    count, size = summary["num_images"], summary["image_size"]
    lines = [f"{counted(count, 'picture')} of {size} x {size}", *_scores(summary)]
    for key, label in (("images_failed", "failed"), ("images_skipped", "skipped")):
        lines += [f"  {label}: {name}: {reason}" for name, reason in summary[key].items()]
    lines += [f"  {line}" for line in training_notes(summary) + scoring_notes(summary)]
    if summary.get("targets_missed"):
        lines.append(
            f"  {summary['targets_missed']} of {counted(count, 'file')} missed the target (chosen_hit in rows.csv)"
        )
    if summary["lanes_diverged"]:
        lines.append(f"  {summary['lanes_diverged']} of {counted(summary['lanes'], 'lane')} diverged")
    return "\n".join([*lines, f"  {run}"])


def _scores(summary: dict[str, Any]) -> list[str]:
    """Return a line for each mean, with its interval where it has one, and one for the compression ratio."""
    mean, ci = summary["mean"], summary["ci95"]
    lines = []
    for key, label, digits in (shown for shown in _SHOWN if shown[0] in mean):
        value = float(mean[key])
        timed = key.endswith("_seconds")  # a batch's time, shared equally: it has no interval
        half = f" ± {ci[key]:.{digits}f}" if isinstance(ci.get(key), float) and not timed else ""
        lines.append(f"  {label:<34} {value:.{digits}f}{half}")
    return [*lines, f"  {'compression ratio, paper count':<34} {float(summary['cr']):.1f}"]
