"""Pixels between their forms: uint8 tensors, x in [-1, 1], PNG bytes."""

import io
import math

import numpy as np
import torch
from PIL import Image
from torch import Tensor


def to_x(images: Tensor) -> Tensor:
    """Map uint8 pixels to float32 in [-1, 1]."""
    return images.float() / 127.5 - 1


def to_images(x: Tensor) -> Tensor:
    """Map x in [-1, 1] to uint8 pixels: clamped, and rounded rather than truncated."""
    return ((x.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def to_pillow(image: Tensor) -> Image.Image:
    """Turn one uint8 [3, H, W] picture into a Pillow one."""
    return Image.fromarray(image.permute(1, 2, 0).cpu().numpy())


def from_pillow(picture: Image.Image) -> Tensor:
    """Turn a Pillow picture into uint8 [3, H, W] RGB."""
    return torch.from_numpy(np.asarray(picture.convert("RGB")).copy()).permute(2, 0, 1).contiguous()


def resize(images: Tensor, size: int) -> Tensor:
    """Resample uint8 [N, 3, H, W] to `size` x `size` with Lanczos; unchanged if it has that size already."""
    if tuple(images.shape[-2:]) == (size, size):
        return images
    resized = [to_pillow(image).resize((size, size), Image.Resampling.LANCZOS) for image in images]
    return torch.stack([from_pillow(picture) for picture in resized])


def to_grid(images: Tensor, columns: int | None = None) -> Tensor:
    """Lay uint8 [N, 3, H, W] out as one picture, row by row, white where there are no more.

    Args:
        images: at least one.
        columns: pictures per row; None for about as many as there are rows.
    """
    columns = columns or math.ceil(math.sqrt(len(images)))
    blank = images.new_full((-len(images) % columns, *images.shape[1:]), 255)
    rows = torch.cat((images, blank)).split(columns)
    return torch.cat([torch.cat(list(row), dim=2) for row in rows], dim=1)


def to_png(image: Tensor) -> bytes:
    """Write one uint8 [3, H, W] picture as an optimised PNG file."""
    buffer = io.BytesIO()
    to_pillow(image).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
