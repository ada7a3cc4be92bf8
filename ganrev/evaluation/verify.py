"""Checks that a run's files still give its scores, and that pictures compressed alone do too."""

import logging
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hydra.utils import instantiate
from torch import Tensor

from ganrev.codecs.base import Codec
from ganrev.data.pictures import Pictures
from ganrev.evaluation import stages
from ganrev.evaluation.integrity import SUMS
from ganrev.evaluation.metrics import distortion
from ganrev.evaluation.run_folder import RunFolder
from ganrev.evaluation.runner import reload_pictures
from ganrev.evaluation.trust import check_targets
from ganrev.progress import ProgressBar

_logger = logging.getLogger(__name__)

TOLERANCE = 1e-3
_COMPARED = ("psnr", "ssim")
_MOST_APART = 1e-3  # share of samples that another machine may draw more than one level apart


@dataclass(frozen=True)
class Verification:
    """The largest changes of a run's scores.

    Attributes:
        num_compared: pictures that were decoded again.
        psnr: in dB; infinity against infinity is no change.
        ssim: without unit.
        alone: of the SSIM of pictures that were compressed alone; None where none was.
    """

    num_compared: int
    psnr: float
    ssim: float
    alone: float | None = None

    @property
    def has_changed(self) -> bool:
        """Whether a score has changed by more than `TOLERANCE`."""
        return max(self.psnr, self.ssim, self.alone or 0.0) > TOLERANCE


def verify(run: RunFolder, num_alone: int = 0) -> Verification:
    """Decode a finished run's files in a new process and compare the scores with its rows.

    Args:
        run: a finished one.
        num_alone: number of pictures, from the first, that are also compressed alone.

    Raises:
        ValueError: the pictures are no longer those that were compressed, or the rows, the files and the failures do
            not make up all of them; or the config calls what no codec is made of.
    """
    if not run.has_sums:
        _logger.warning(
            "%s has no list of sums (%s), as runs of old versions: whether its record is what was written cannot be "
            "told, and only scores and pictures are compared",
            *(run, SUMS),
        )
    check_targets(run.config)
    codec = instantiate(run.config.codec)
    pictures = reload_pictures(run, codec.image_size)
    _check_complete(run, pictures)
    psnr, ssim = _rescore(run, pictures)
    alone = _encode_alone(run, codec, pictures, num_alone) if num_alone else None
    return Verification(len(run.rows), psnr, ssim, alone)


def _check_complete(run: RunFolder, pictures: Pictures) -> None:
    """Raise ValueError unless each picture has either a row and a file, or a reason why it has failed."""
    rows, failed = run.rows["name"].tolist(), list(run.summary["images_failed"])
    if sorted([*rows, *failed]) != sorted(pictures.names):
        raise ValueError(
            f"{run}: {len(rows)} rows and {len(failed)} failures do not make up its {len(pictures)} pictures; "
            "repeat the run with force=true"
        )
    if sorted(rows) != run.blob_names:
        raise ValueError(
            f"{run}: {len(rows)} rows, but {len(run.blob_names)} files, or files of other names; "
            "repeat the run with force=true"
        )
    for name, num_bytes in run.rows[["name", "num_bytes"]].itertuples(index=False):
        if (found := len(run.blob(name))) != num_bytes:
            raise ValueError(f"{run}: the file of {name} has {found} bytes, its row says {num_bytes}; repeat the run")
    run.check()


def _rescore(run: RunFolder, pictures: Pictures) -> tuple[float, float]:
    """Decode a run's files in a new process; returns the largest change of PSNR (dB) and SSIM."""
    rows = run.rows.set_index("name")
    change = dict.fromkeys(_COMPARED, 0.0)
    with tempfile.TemporaryDirectory() as folder:
        copy = run.copy_files(Path(folder))
        stages.decode_all(copy)
        for name, image in zip(pictures.names, pictures.images, strict=True):
            if name not in rows.index:
                continue  # a picture that failed
            drawn = copy.decoded(name)
            _check_same(run, name, drawn)
            scores = distortion(image, drawn)
            for key in change:
                before, now = float(rows.loc[name, key]), scores[key]
                apart = 0.0 if before == now else abs(before - now)
                change[key] = max(change[key], math.inf if math.isnan(apart) else apart)  # max would drop NaN
    return change["psnr"], change["ssim"]


def _check_same(run: RunFolder, name: str, drawn: Tensor) -> None:
    """Raise ValueError where a stored decoded picture cannot be read, or is not what its file draws now."""
    stored = run.decoded(name)
    apart = stored.shape != drawn.shape or float(((stored.int() - drawn.int()).abs() > 1).float().mean())
    if apart > _MOST_APART:
        raise ValueError(f"{run}: the decoded picture of {name} is not what its file draws; repeat it with force=true")


def _encode_alone(run: RunFolder, codec: Codec, pictures: Pictures, num_pictures: int) -> float:
    """Compress the first pictures, each alone; returns the largest change of SSIM against the run."""
    rows = run.rows.set_index("name")
    stored = [pair for pair in zip(pictures.names, pictures.images, strict=True) if pair[0] in rows.index]
    largest = 0.0
    for name, image in ProgressBar(stored[:num_pictures], leave=False):
        (blob,) = codec.encode(image[None])
        ssim = distortion(image, codec.decode([blob])[0])["ssim"]
        largest = max(largest, abs(ssim - float(rows.loc[name, "ssim"])))
    return largest
