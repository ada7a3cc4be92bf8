"""CompressAI's result JSON, which its plot command reads: one file is one curve, one entry of each list a run."""

from collections.abc import Sequence
from typing import Any

import torch

from ganrev.pixels import to_x
from ganrev.report.paired import picture_difference
from ganrev.report.pictures import find_originals
from ganrev.report.reported import ReportedRun
from ganrev.reversal.losses import MSSSIM
from ganrev.wording import counted

_BATCH = 32  # pictures at a time
# Its older versions know no `-rgb`.
_KEYS = {"psnr": "psnr", "psnr-rgb": "psnr", "ssim-rgb": "ssim", "mse-rgb": "mse", "bpp": "bpp"}
_TIMES = {"encoding_time": "encode_seconds", "decoding_time": "decode_seconds"}


def to_compressai(runs: Sequence[ReportedRun], name: str | None = None) -> dict[str, Any]:
    """Return `name`, `description` and `results` of a curve, its points by bits per pixel.

    Means over pictures: PSNR, SSIM and MSE as the runs have them, bits per pixel of whole files, seconds for each
    picture. `ms-ssim-rgb` (four scales, since five need sides above 160 pixels) is computed where the originals are
    at hand.

    Args:
        runs: of one codec, on the same pictures.
        name: of the curve; None for the codec's.

    Raises:
        ValueError: several codecs, other pictures, or a lossless run, whose PSNR no plot can show.
    """
    _check(runs)
    points = sorted(runs, key=lambda run: float(run.summary["mean"]["bpp"]))
    columns = _KEYS | _TIMES
    results = {key: [float(run.summary["mean"][column]) for run in points] for key, column in columns.items()}
    ms_ssim = _ms_ssim(points)
    if ms_ssim:
        results |= {"ms-ssim": ms_ssim, "ms-ssim-rgb": ms_ssim}
    count, size = points[0].summary["num_images"], points[0].summary["image_size"]
    description = f"{counted(count, 'picture')} of {size} x {size}; {', '.join(run.label for run in points)}"
    return {"name": name or points[0].kind, "description": description, "results": results}


def _check(runs: Sequence[ReportedRun]) -> None:
    """Raise ValueError unless the runs can be one curve."""
    kinds = list(dict.fromkeys(run.kind for run in runs))
    if len(kinds) > 1:
        raise ValueError(f"a file of CompressAI's is one curve; got runs of {', '.join(kinds)}: export each by itself")
    for run in runs:
        difference = picture_difference(runs[0], run)
        if difference:
            raise ValueError(f"{runs[0].folder} and {run.folder} are runs on different pictures: {difference}")
        if run.summary["mean"]["psnr"] == "inf":
            raise ValueError(f"{run.folder} has a lossless picture, so that its PSNR is infinite and cannot be plotted")


def _ms_ssim(runs: Sequence[ReportedRun]) -> list[float]:
    """Return the mean MS-SSIM of each run; nothing where originals are missing or pictures too small for it."""
    originals, _ = find_originals(runs)
    names = list(runs[0].rows.index)
    if not set(names) <= set(originals) or runs[0].summary["image_size"] < 11 * 2**3:
        return []
    loss = MSSSIM()
    means = []
    for run in runs:
        total = 0.0
        for begin in range(0, len(names), _BATCH):
            part = names[begin : begin + _BATCH]
            decoded = to_x(torch.stack([run.folder.decoded(name) for name in part]))
            total += float((1 - loss(decoded, to_x(torch.stack([originals[name] for name in part])))).sum())
        means.append(total / len(names))
    return means
