"""Measures of how real samples look, without any downloaded network."""

import numpy as np
import torch
import torch.nn.functional as F
from skimage.data import lbp_frontal_face_cascade_filename
from skimage.feature import Cascade
from torch import Tensor

from ganrev.progress import ProgressBar

_PATCH = 7  # side of a descriptor
_PATCHES = 128  # descriptors per picture and level
_DIRECTIONS = 512
_SMALLEST = 16  # side of the coarsest level
_BINOMIAL = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16


def _blur(x: Tensor, gain: float = 1.0) -> Tensor:
    kernel = (gain * torch.outer(_BINOMIAL, _BINOMIAL)).expand(x.shape[1], 1, 5, 5)
    return F.conv2d(F.pad(x, (2, 2, 2, 2), mode="reflect"), kernel, groups=x.shape[1])


def _upsample(x: Tensor) -> Tensor:
    spread = x.new_zeros(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3])
    spread[..., ::2, ::2] = x
    return _blur(spread, gain=4.0)


def laplacian_pyramid(x: Tensor) -> list[Tensor]:
    """Return the levels of float pictures [N, 3, S, S], finest first, down to a side of 16 pixels.

    Source: Burt and Adelson 1983; Karras et al. 2018, section 5.
    """
    levels = []
    while x.shape[-1] > _SMALLEST:
        smaller = _blur(x)[..., ::2, ::2]
        levels.append(x - _upsample(smaller))
        x = smaller
    return [*levels, x]


def _descriptors(level: Tensor, rng: torch.Generator) -> Tensor:
    """Cut 7 x 7 patches at random places: [N * 128, 3 * 49], each colour with mean 0 and deviation 1."""
    num, _, side, _ = level.shape
    rows, columns = (torch.randint(side - _PATCH + 1, (num, _PATCHES, 1, 1), generator=rng) for _ in range(2))
    offsets = torch.arange(_PATCH)
    rows, columns = rows + offsets.view(-1, 1), columns + offsets
    picture = torch.arange(num).view(-1, 1, 1, 1)
    patches = level.permute(0, 2, 3, 1)[picture, rows, columns].flatten(0, 1)  # [N * 128, 7, 7, 3]
    std, mean = torch.std_mean(patches, dim=(0, 1, 2))
    return ((patches - mean) / std.clamp_min(1e-8)).flatten(1)


def _projected(descriptors: Tensor, directions: Tensor) -> np.ndarray:
    """Project [M, D] onto directions [D, K] and sort: float32 [K, M]. NumPy sorts many times as fast as torch."""
    return np.sort((directions.T @ descriptors.T).numpy(), axis=1)


def sliced_wasserstein(real: Tensor, fake: Tensor, seed: int = 0) -> dict[int, float]:
    """Compare patches of two sets of pictures, level by level of the Laplacian pyramid.

    Args:
        real: uint8 [N, 3, S, S], S a power of two of at least 16.
        fake: as many pictures of the same size.
        seed: of the patches' places and the projections.

    Returns:
        The distance times 1000 at each level, named by its side in pixels, finest first. It is above zero
        for two sets of real faces, and the larger the fewer pictures they have.

    Raises:
        ValueError: the sets differ in shape.

    Source: Karras et al. 2018, "Progressive growing of GANs", section 5.
    """
    if real.shape != fake.shape:
        raise ValueError(f"both sets need the same shape, got {tuple(real.shape)} and {tuple(fake.shape)}")
    rng = torch.Generator().manual_seed(seed)
    distances = {}
    pyramids = zip(laplacian_pyramid(real.float()), laplacian_pyramid(fake.float()), strict=True)
    for level_real, level_fake in pyramids:
        sets = [_descriptors(level, rng) for level in (level_real, level_fake)]
        directions = F.normalize(torch.randn(sets[0].shape[1], _DIRECTIONS, generator=rng), dim=0)
        parts = [
            np.abs(_projected(sets[0], part) - _projected(sets[1], part)).mean() for part in directions.split(32, dim=1)
        ]
        distances[level_real.shape[-1]] = 1000 * float(np.mean(parts))
    return distances


def share_of_faces(images: Tensor) -> float:
    """Return the share of uint8 pictures [N, 3, S, S] in which scikit-image's frontal face detector finds a face."""
    detector = Cascade(lbp_frontal_face_cascade_filename())
    size = images.shape[-1]
    found = [
        bool(
            detector.detect_multi_scale(
                np.ascontiguousarray(image.permute(1, 2, 0)),
                scale_factor=1.1,
                step_ratio=1,
                min_size=(size * 2 // 5, size * 2 // 5),
                max_size=(size, size),
            )
        )
        for image in ProgressBar(images, desc="detecting faces", unit="picture", leave=False)
    ]
    return sum(found) / len(found)
