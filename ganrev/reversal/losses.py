"""Differentiable distortions, one number per image.

Every loss takes `x` and `target`, float tensors [N, 3, H, W] in [-1, 1], and returns [N]: the mean over the
pixels and channels of each image. Reversal sums over the lanes, so that no lane influences another.

`curvature` is the loss's second derivative relative to SSIM's, where all latents are nudged by a twentieth of their
steps (`Generator.latent_step_sizes`): `quant=rd` derives from it how coarsely to round.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

DATA_RANGE = 2.0  # x lies in [-1, 1]
_PLACES = 40  # positions of the window, at most, in one matrix product
_C1, _C2 = (0.01 * DATA_RANGE) ** 2, (0.03 * DATA_RANGE) ** 2


def gaussian_window(size: int, sigma: float) -> Tensor:
    """Return the normalised one-dimensional Gaussian window, float32 [size]."""
    offsets = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    window = torch.exp(-(offsets**2) / (2 * sigma**2))
    return (window / window.sum()).float()


def _band(window: Tensor, side: int) -> Tensor:
    """Return the matrix [side, side - taps + 1] whose columns hold the shifted window."""
    taps = window.numel()
    places = torch.arange(side, device=window.device)
    tap = places[:, None] - places[: side - taps + 1]
    return torch.where((tap >= 0) & (tap < taps), window[tap.clamp(0, taps - 1)], 0.0)


def _blur(images: Tensor, down: list[tuple[int, Tensor]], across: list[tuple[int, Tensor]]) -> Tensor:
    """Filter with the separable window, keeping only positions where it fits whole.

    By matrix products: the gradient of a depthwise convolution takes 40 times as long on a CPU. In a few parts, because
    the matrix of a whole side is mostly zeros.
    """
    rows = torch.cat([images[..., at : at + len(band)] @ band for at, band in across], dim=-1)
    return torch.cat([band.T @ rows[..., at : at + len(band), :] for at, band in down], dim=-2)


def _bands(window: Tensor, side: int) -> list[tuple[int, Tensor]]:
    """Return where each part of a side begins, and the matrix of `_band` that filters it."""
    places = side - window.numel() + 1
    parts = torch.arange(places).tensor_split(-(-places // _PLACES))
    return [(int(part[0]), _band(window, len(part) + window.numel() - 1)) for part in parts]


def ssim_maps(x: Tensor, target: Tensor, window: Tensor) -> tuple[Tensor, Tensor]:
    """Return the SSIM map and its contrast-structure factor, each [N, 3, H - 10, W - 10] for 11 taps.

    Source: Wang et al. 2004, equations 12 and 13 (Gaussian weights, population covariance).
    """
    x, target = (x + 1).contiguous(), (target + 1).contiguous()  # luminance needs black at 0
    down, across = _bands(window, x.shape[-2]), _bands(window, x.shape[-1])
    mean_x, square_x, product = (_blur(image, down, across) for image in (x, x * x, x * target))
    mean_t, square_t = (_blur(image, down, across) for image in (target, target * target))
    variance_x, variance_t = square_x - mean_x**2, square_t - mean_t**2
    covariance = product - mean_x * mean_t
    structure = (2 * covariance + _C2) / (variance_x + variance_t + _C2)
    luminance = (2 * mean_x * mean_t + _C1) / (mean_x**2 + mean_t**2 + _C1)
    return luminance * structure, structure


class MSE(nn.Module):
    """Mean squared error (the paper's l2 loss, as a mean)."""

    curvature = 0.045

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        return ((x - target) ** 2).mean(dim=(1, 2, 3))


class L1(nn.Module):
    """Mean absolute error (the paper's l1 loss, as a mean)."""

    curvature = 0.2

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        return (x - target).abs().mean(dim=(1, 2, 3))


class SSIM(nn.Module):
    """1 - SSIM with Wang et al.'s window: 11 x 11, sigma 1.5, mean over channels.

    Agrees with `skimage.metrics.structural_similarity(gaussian_weights=True, sigma=1.5,
    use_sample_covariance=False)`, which crops the same five border pixels.
    """

    curvature = 1.0

    window: Tensor

    def __init__(self, window_size: int = 11, sigma: float = 1.5) -> None:
        super().__init__()
        self.register_buffer("window", gaussian_window(window_size, sigma))

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        if min(x.shape[-2:]) < self.window.numel():
            raise ValueError(
                f"ssim needs images of at least {self.window.numel()} pixels a side, got "
                f"{x.shape[-2]} x {x.shape[-1]}; use loss=mse for smaller ones"
            )
        return 1 - ssim_maps(x, target, self.window)[0].mean(dim=(1, 2, 3))


class MSSSIM(nn.Module):
    """1 - MS-SSIM over four scales.

    Five scales of an 11-pixel window need sides above 160 pixels; at 128 the fifth scale is left out and the
    first four weights are renormalised. Source: Wang et al. 2003, "Multi-scale structural similarity".
    """

    curvature = 0.25
    WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363)

    window: Tensor

    def __init__(self, window_size: int = 11, sigma: float = 1.5) -> None:
        super().__init__()
        self.register_buffer("window", gaussian_window(window_size, sigma))

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        smallest = self.window.numel() * 2 ** (len(self.WEIGHTS) - 1)
        if min(x.shape[-2:]) < smallest:
            raise ValueError(
                f"ms_ssim needs images of at least {smallest} pixels per side, got "
                f"{x.shape[-2]} x {x.shape[-1]}; use loss=ssim for smaller ones"
            )
        total = sum(self.WEIGHTS)
        score = x.new_ones(x.shape[0])
        for scale, weight in enumerate(self.WEIGHTS):
            similarity, structure = ssim_maps(x, target, self.window)
            last = scale == len(self.WEIGHTS) - 1
            factor = (similarity if last else structure).mean(dim=(2, 3))
            # A negative mean has no real power; relu as in the common implementations.
            score = score * (F.relu(factor) + 1e-8).pow(weight / total).mean(dim=1)
            x, target = F.avg_pool2d(x, 2), F.avg_pool2d(target, 2)
        return 1 - score


class WeightedSum(nn.Module):
    """A weighted sum of losses.

    Args:
        terms: loss modules by name.
        weights: one weight for each name in `terms`.

    Raises:
        ValueError: the names differ.
    """

    def __init__(self, terms: Mapping[str, nn.Module], weights: Mapping[str, float]) -> None:
        super().__init__()
        if set(terms) != set(weights) or not terms:
            raise ValueError(
                f"a weighted loss needs one weight per term, got terms {sorted(terms)} and weights {sorted(weights)}"
            )
        self.terms = nn.ModuleDict(dict(terms))
        self.weights = {name: float(weight) for name, weight in weights.items()}
        self.curvature = sum(weight * getattr(terms[name], "curvature", 1.0) for name, weight in self.weights.items())

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        return torch.stack([self.weights[name] * term(x, target) for name, term in self.terms.items()]).sum(0)
