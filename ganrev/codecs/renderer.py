"""A frozen generator on its device, for drawing and for descents."""

import copy

import torch
from torch import Tensor

from ganrev.generator.base import Generator
from ganrev.pixels import to_images, to_x
from ganrev.reversal.device import Device

_BATCH_SIZE = 16  # pictures drawn at a time


class Renderer:
    """Draws pictures exactly as the decoder of a file does, and holds a fast copy of the generator for descents.

    Args:
        generator: is frozen and moved to the device.
        device: where and how precisely to compute.

    Attributes:
        generator: in float32, as decoders draw.
        fast_generator: the same in the device's precision, for descents.
    """

    def __init__(self, generator: Generator, device: Device) -> None:
        self.device = device
        self.generator: Generator = generator.freeze().to(device.torch_device)
        fast: Generator = copy.deepcopy(self.generator)
        # torch's stubs do not know the keyword, its documentation does.
        self.fast_generator: Generator = fast.to(device.dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def draw(self, latents: Tensor) -> Tensor:
        """Draw uint8 pictures [N, 3, S, S] on the CPU from latents [N, D], in float32.

        Where all latents beyond z are zero z draws alone, as the decoder of a file of z alone lets it.
        """
        num_z = self.generator.latent_dim
        with_grid = latents[:, num_z:].any(dim=1)
        images = torch.empty(len(latents), 3, *[self.generator.image_size] * 2, dtype=torch.uint8)
        for rows, drawn in ((~with_grid, latents[:, :num_z]), (with_grid, latents)):
            if rows.any():
                images[rows] = self._draw(drawn[rows])
        return images

    @torch.no_grad()
    def _draw(self, latents: Tensor) -> Tensor:
        parts = latents.split(_BATCH_SIZE)
        return torch.cat([to_images(self.generator(part.to(self.device.torch_device))).cpu() for part in parts])

    def targets(self, images: Tensor) -> Tensor:
        """Return uint8 pictures [N, 3, S, S] as x on the device, float32, for descents to aim at."""
        return to_x(images.to(self.device.torch_device)).contiguous(memory_format=torch.channels_last)
