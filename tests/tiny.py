"""A generator and a codec small enough to test the harness without weights."""

import torch
from torch import Tensor, nn

from ganrev.generator.base import Generator


class TinyGenerator(Generator):
    """A fixed linear map from 16 latents to a smooth 32 x 32 picture."""

    latent_dim = 16
    image_size = 32
    digest = "0123456789abcdef" * 4

    def __init__(self, path: str | None = None, unseen_scale: float | None = None, seed: int = 0) -> None:
        """Take the keys of configs/generator/embedded.yaml, so that one override of `_target_` swaps it in."""
        super().__init__()
        self.unseen_scale = 4.0 if unseen_scale is None else unseen_scale
        rng = torch.Generator().manual_seed(seed)
        coarse = torch.randn(self.latent_dim, 3, 4, 4, generator=rng) * 0.5
        basis = nn.functional.interpolate(coarse, size=self.image_size, mode="bilinear")
        self.linear = nn.Linear(self.latent_dim, 3 * self.image_size**2, bias=False)
        self.linear.weight.data = basis.flatten(1).T.contiguous()

    def forward(self, z: Tensor) -> Tensor:
        flat = self.linear(z.to(self.linear.weight.dtype))
        return torch.tanh(flat.float()).view(-1, 3, self.image_size, self.image_size)


class RawCodec:
    """Stores pixels as they are; refuses pictures whose first pixel is pure red where `picky`."""

    suffix = ".raw"
    image_size = None

    def __init__(self, size: int = 32, picky: bool = False) -> None:
        self.size, self.picky = size, picky

    def encode(self, images: Tensor) -> list[bytes]:
        for image in images:
            if self.picky and image[:, 0, 0].tolist() == [255, 0, 0]:
                raise ValueError("a red corner")
        return [image.numpy().tobytes() for image in images]

    def decode(self, blobs: list[bytes]) -> Tensor:
        rows = [torch.frombuffer(bytearray(blob), dtype=torch.uint8) for blob in blobs]
        return torch.stack(rows).view(-1, 3, self.size, self.size)
