"""Faces that a generator was trained on, and others."""

import torch
import torch.nn.functional as F

from ganrev.data.pictures import Pictures


def textured_images(num_images, seed):
    """Return uint8 [N, 3, 128, 128] with detail of every size, as photographs have it, and little pure white."""
    rng = torch.Generator().manual_seed(seed)
    layers = [
        F.interpolate(torch.randn(num_images, 3, side, side, generator=rng), size=128, mode="bicubic") * 2.5 / side
        for side in (3, 6, 12, 24, 48)
    ]
    return (128 + 45 * sum(layers)).clamp(0, 255).round().to(torch.uint8)


FACES = textured_images(40, seed=1)  # stand for the training faces
OTHERS = textured_images(40, seed=2)


def pictures_of(images, celeba_ids=None, identities=()):
    names = [f"face{index}" for index in range(len(images))]
    return Pictures(images, names, celeba_ids or [None] * len(images), celeba_identities=list(identities))
