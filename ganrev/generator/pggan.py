"""The progressive GAN that the paper used: the public `celeba` checkpoint of pytorch_GAN_zoo.

512 latents, 128 x 128. Card: it was trained on all of CelebA, **the images of the test partition included**, so every
picture of CelebA is one that it was trained on; the weights carry CelebA's non-commercial research terms.
"""

import http.client
import math
import re
import urllib.parse
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganrev.configuration.options import Positive, checked_options
from ganrev.generator.base import Generator
from ganrev.generator.weights import (
    existing_file,
    file_digest,
    load_checkpoint,
    load_state,
    shape_of,
    tensors_under,
)
from ganrev.paths import cache_dir

_CONFIG_CLASS = (
    "models.utils.config.BaseConfig"  # of pytorch_GAN_zoo; the checkpoint holds an object of it beside the tensors
)


def pixel_norm(h: Tensor) -> Tensor:
    """Scale h [N, C, ...] to a mean square of 1 over the channels."""
    mean_square = h.square().mean(dim=1, keepdim=True, dtype=torch.float32)
    return h * torch.rsqrt(mean_square + 1e-8).to(h.dtype)


def _convolve(layer: nn.Module, h: Tensor) -> Tensor:
    return pixel_norm(F.leaky_relu(layer(h), 0.2))


class PGANNetwork(Generator):
    """The architecture at its last scale, with fresh weights; `load_pggan` loads the trained ones.

    The zoo scales each layer at run time: (Wx + b) sqrt(2 / fan_in), the bias too. Here the constants are
    expected inside the weights and biases (`fold_he_constants`), which draws the same picture for less work.

    z is normalised first: only its direction matters.

    Args:
        latent_dim: number of latents.
        depths: channels at 4 x 4, 8 x 8 and so on.

    Source: Karras et al. 2018, "Progressive growing of GANs".
    """

    caveat = "the generator was trained on all of CelebA: no CelebA picture is unseen to it"
    prior = "uniform"  # as in the paper; normalised, it hardly differs from the normal prior of the training

    def __init__(self, latent_dim: int, depths: Sequence[int]) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.image_size = 4 * 2 ** (len(depths) - 1)
        self.dense = nn.Linear(latent_dim, 16 * depths[0])
        self.conv = nn.Conv2d(depths[0], depths[0], 3, padding=1)
        self.scales = nn.ModuleList(
            nn.ModuleList((nn.Conv2d(a, b, 3, padding=1), nn.Conv2d(b, b, 3, padding=1))) for a, b in pairwise(depths)
        )
        self.to_rgb = nn.Conv2d(depths[-1], 3, 1)

    def forward(self, z: Tensor) -> Tensor:
        direction = pixel_norm(z.float()).to(self.dense.weight.dtype)
        h = F.leaky_relu(self.dense(direction), 0.2).view(len(z), -1, 4, 4)
        h = pixel_norm(h.contiguous(memory_format=torch.channels_last))
        h = _convolve(self.conv, h)
        for scale in self.scales:
            first, second = scale.children()
            h = F.interpolate(h, scale_factor=2, mode="nearest")
            h = _convolve(second, _convolve(first, h))
        return self.to_rgb(h).float()


@torch.no_grad()
def fold_he_constants(network: PGANNetwork) -> None:
    """Multiply weights and biases, just loaded from a checkpoint, by each layer's sqrt(2 / fan_in), once."""
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            he_constant = math.sqrt(2 / layer.weight[0].numel())
            layer.weight.mul_(he_constant)
            layer.get_parameter("bias").mul_(he_constant)


@checked_options("generator.")
def load_pggan(path: str | Path | None, url: str, unseen_scale: Positive = 5.0) -> PGANNetwork:
    """Load the checkpoint, frozen; its averaged generator is the one that draws.

    Args:
        path: a local file, or None to download the public one, once, to the cache folder.
        url: of the public checkpoint. By torch.hub's convention its name ends in the first digits of its
            SHA-256; a file of this name is checked against them wherever it comes from.
        unseen_scale: factor on z before rounding, for pictures that the generator did not draw.

    Raises:
        ValueError: the download fails, or the file is damaged, of another layout or not safe to load.
    """
    file = existing_file(path) if path is not None else _fetch(url)
    digest = file_digest(file)
    if file.name == _file_name(url) and not digest.startswith(_hash_prefix(url)):
        raise ValueError(
            f"{file} has SHA-256 {digest[:8]}..., expected {_hash_prefix(url)}..., as its name says: it is "
            "incomplete or altered; delete it and fetch it again"
        )
    tensors = _plain_names(tensors_under(load_checkpoint(file, [_CONFIG_CLASS]), "avgG", file))
    depths = _depths(tensors, file)
    with torch.device("meta"):
        network = PGANNetwork(shape_of(tensors, "formatLayer.weight", 2, file)[1], depths)
    load_state(network, _our_names(tensors, len(depths)), file)
    fold_he_constants(network)
    network.unseen_scale, network.digest = unseen_scale, digest
    network.freeze()
    return network


def _plain_names(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Drop the wrappers' `module` from the names; older files have none."""
    return {".".join(part for part in str(name).split(".") if part != "module"): t for name, t in tensors.items()}


def _depths(tensors: Mapping[str, Any], source: Path) -> list[int]:
    """Read the channels of each scale."""
    depths = [shape_of(tensors, "groupScale0.0.weight", 4, source)[0]]
    while f"scaleLayers.{len(depths) - 1}.0.weight" in tensors:
        depths.append(shape_of(tensors, f"scaleLayers.{len(depths) - 1}.0.weight", 4, source)[0])
    return depths


def _our_names(tensors: Mapping[str, Any], num_scales: int) -> dict[str, Any]:
    """Rename the tensors, leaving out the toRGB layers of smaller scales, which drew during training only."""
    ours = {}
    for name, tensor in tensors.items():
        layer, _, rest = name.partition(".")
        if layer == "formatLayer":
            ours[f"dense.{rest}"] = tensor
        elif layer == "groupScale0":
            ours[f"conv.{rest.removeprefix('0.')}"] = tensor
        elif layer == "scaleLayers":
            ours[f"scales.{rest}"] = tensor
        elif layer != "toRGBLayers":
            ours[name] = tensor  # reported as not expected
        elif rest.startswith(f"{num_scales - 1}."):
            ours[f"to_rgb.{rest.partition('.')[2]}"] = tensor
    return ours


def _file_name(url: str) -> str:
    return Path(urllib.parse.urlparse(url).path).name


def _hash_prefix(url: str) -> str:
    match = re.search(r"-([0-9a-f]{8,64})\.[^.]+$", _file_name(url))
    if match is None:
        raise ValueError(f"generator.url must name a file that ends in its hash, like -2b0acc76.pth, got {url!r}")
    return match[1]


def _fetch(url: str) -> Path:
    """Return the file in the cache, downloaded and checked if it is not there."""
    file, prefix = cache_dir() / _file_name(url), _hash_prefix(url)
    if file.exists():
        return file
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(file), hash_prefix=prefix)
    except (OSError, RuntimeError, ValueError, http.client.HTTPException) as error:
        raise ValueError(
            f"cannot download {url} ({error}); download it elsewhere and give the file by generator.path="
        ) from error
    return file
