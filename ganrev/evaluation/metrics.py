"""Distortion and rate of decoded pictures, computed by scikit-image where it has the measure."""

import bz2
import io
import math
from importlib.util import find_spec

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy import stats
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from ganrev.pixels import to_png, to_x
from ganrev.reversal import perceptual
from ganrev.reversal.losses import MSSSIM

_SMALLEST_MS_SSIM = 88  # pixels: the window must fit into the fourth scale

# Least and most values of measures; of others, from 0 without a limit.
_RANGES = {"ssim": (-1.0, 1.0), "ms_ssim": (0.0, 1.0), "ssimulacra2": (-math.inf, 100.0)}

SMALLEST = 11  # side in pixels: the window of SSIM


def check_size(height: int, width: int) -> None:
    """Raise ValueError for pictures that SSIM cannot score, before hours are spent on them."""
    if min(height, width) < SMALLEST:
        raise ValueError(
            f"pictures of {height} x {width} pixels cannot be scored: SSIM's window takes {SMALLEST} a side; "
            "choose a generator of larger pictures"
        )


def _check_pair(images: Tensor, decoded: Tensor) -> None:
    """Raise ValueError where these are not two sets of pictures of one shape, in whole numbers from 0 to 255."""
    if images.shape != decoded.shape or (images.dtype, decoded.dtype) != (torch.uint8, torch.uint8):
        raise ValueError(
            f"measures compare uint8 pictures of one shape, got {images.dtype} {tuple(images.shape)} and "
            f"{decoded.dtype} {tuple(decoded.shape)}; ganrev.pixels.to_images turns floats in [-1, 1] into uint8"
        )


def distortion(image: Tensor, decoded: Tensor) -> dict[str, float]:
    """Compare two pictures.

    Args:
        image: uint8 [3, H, W].
        decoded: uint8 of the same shape.

    Returns:
        `psnr` in dB (infinite for equal pictures), `mse` on the scale 0-255, and `ssim` with Wang et al.'s window
        (Gaussian, sigma 1.5, 11 x 11, population covariance, data range 255, mean over RGB).

    Raises:
        ValueError: the pictures are smaller than that window, of two shapes, or not uint8.
    """
    _check_pair(image, decoded)
    check_size(*image.shape[-2:])
    a, b = (picture.permute(1, 2, 0).cpu().numpy() for picture in (image, decoded))
    mse = float(mean_squared_error(a, b))
    psnr = math.inf if mse == 0 else float(peak_signal_noise_ratio(a, b, data_range=255))
    ssim = structural_similarity(
        a, b, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
    )
    return {"psnr": psnr, "mse": mse, "ssim": float(ssim)}


def png_paper_bytes(image: Tensor) -> int:
    """Return the bytes of the bzip2'd PNG of uint8 [3, H, W]: the numerator of the compression ratio."""
    return len(bz2.compress(to_png(image), 9))


def bits_per_pixel(num_bytes: int, height: int, width: int) -> float:
    """Return 8 * bytes / pixels."""
    return 8 * num_bytes / (height * width)


def mean_and_interval(values: list[float]) -> tuple[float, float]:
    """Return the mean and the half width of its 95 % confidence interval (Student's t).

    The half width is NaN where there is only one value, or where a value is infinite.
    """
    array = np.asarray(values, dtype=float)
    n = len(array)
    if n < 2 or not np.isfinite(array).all():
        return float(array.mean()), math.nan
    half = stats.t.ppf(0.975, n - 1) * array.std(ddof=1) / math.sqrt(n)
    return float(array.mean()), float(half)


def interval_within(measure: str, mean: ArrayLike, half: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of intervals as a figure may draw them: cut off where the measure has no values.

    Of few pictures Student's t is so wide that an interval of SSIM passes 1.

    Args:
        measure: a column of a run's rows.
        mean: float [N], or one number.
        half: widths of the half intervals, likewise; NaN counts as 0.
    """
    least, most = _RANGES.get(measure, (0.0, math.inf))
    mean, half = np.asarray(mean, dtype=float), np.nan_to_num(np.asarray(half, dtype=float))
    return np.minimum(np.maximum(mean - half, least), mean), np.maximum(np.minimum(mean + half, most), mean)


def takes_stlpips(height: int, width: int) -> bool:
    """Tell whether ST-LPIPS scores pictures of this size: its extra is installed, and they are not too small."""
    return perceptual.is_available() and min(height, width) >= perceptual.SMALLEST["vgg"]


def stlpips(images: Tensor, decoded: Tensor) -> list[float] | None:
    """Return ST-LPIPS (VGG) of each pair of uint8 [N, 3, H, W], or None where `takes_stlpips` says no."""
    if not takes_stlpips(*images.shape[-2:]):
        return None
    return [float(d) for d in perceptual.perceptual_distances(to_x(images), to_x(decoded))]


def colour_errors(images: Tensor, decoded: Tensor) -> list[float]:
    """Return the mean CIEDE2000 colour difference of each pair of uint8 [N, 3, H, W] in sRGB; 1 is just visible."""
    pairs = zip(images, decoded, strict=True)
    return [float(deltaE_ciede2000(_to_lab(image), _to_lab(drawn)).mean()) for image, drawn in pairs]


def _to_lab(image: Tensor) -> np.ndarray:
    return rgb2lab(image.permute(1, 2, 0).cpu().numpy())


@torch.no_grad()
def ms_ssim(images: Tensor, decoded: Tensor) -> list[float] | None:
    """Return MS-SSIM of each pair of uint8 [N, 3, H, W], or None for pictures too small for it.

    It is the loss of `ganrev.reversal.MSSSIM`, four scales instead of five, since scikit-image has none.
    """
    if min(images.shape[-2:]) < _SMALLEST_MS_SSIM:
        return None
    losses = MSSSIM().eval()(to_x(images.cpu().contiguous()), to_x(decoded.cpu().contiguous()))
    return [1 - float(loss) for loss in losses]


def ssimulacra2(images: Tensor, decoded: Tensor) -> list[float] | None:
    """Return SSIMULACRA2 of each pair of uint8 [N, 3, H, W], 100 at best, or None without its extra `opponents`."""
    if find_spec("ssimulacra2") is None or min(images.shape[-2:]) < 8:
        return None
    from ssimulacra2 import compute_ssimulacra2

    pairs = zip(images, decoded, strict=True)
    return [float(compute_ssimulacra2(io.BytesIO(to_png(a)), io.BytesIO(to_png(b)))) for a, b in pairs]


def other_measures(images: Tensor, decoded: Tensor) -> list[dict[str, float]]:
    """Return what else is measured of each pair of uint8 [N, 3, H, W] within milliseconds, by columns of the record."""
    _check_pair(images, decoded)
    return _by_pair(len(images), delta_e=colour_errors(images, decoded), ms_ssim=ms_ssim(images, decoded))


def costly_measures(images: Tensor, decoded: Tensor) -> list[dict[str, float]]:
    """Return what takes a fifth of a second for each pair of uint8 [N, 3, H, W], by columns of the record."""
    _check_pair(images, decoded)
    return _by_pair(len(images), stlpips=stlpips(images, decoded), ssimulacra2=ssimulacra2(images, decoded))


def _by_pair(num_pairs: int, **columns: list[float] | None) -> list[dict[str, float]]:
    """Return the columns that could be measured, as one dict for each pair."""
    measured = {key: values for key, values in columns.items() if values is not None}
    return [{key: values[i] for key, values in measured.items()} for i in range(num_pairs)]
