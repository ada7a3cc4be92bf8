"""Checkpoints that are built here, tiny, in the public layouts."""

import sys
import types
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

URL = "https://example.invalid/celeba-0123abcd.pth"
DEPTHS = (10, 8, 8, 6, 5, 4)  # 128 pixels, as the public one
LATENTS = 12


def zoo_tensors(depths: tuple[int, ...] = DEPTHS, latent_dim: int = LATENTS, seed: int = 0) -> dict[str, Tensor]:
    """The generator's tensors as the zoo names them without wrappers."""
    rng = torch.Generator().manual_seed(seed)
    shapes = {"formatLayer": (16 * depths[0], latent_dim), "groupScale0.0": (depths[0], depths[0], 3, 3)}
    for i, (a, b) in enumerate(pairwise(depths)):
        shapes |= {f"scaleLayers.{i}.0": (b, a, 3, 3), f"scaleLayers.{i}.1": (b, b, 3, 3)}
    shapes |= {f"toRGBLayers.{i}": (3, depth, 1, 1) for i, depth in enumerate(depths)}
    weights = {f"{name}.weight": torch.randn(shape, generator=rng) for name, shape in shapes.items()}
    return weights | {f"{name}.bias": torch.randn(shape[0], generator=rng) for name, shape in shapes.items()}


def wrapped(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The names of newer zoo files."""
    return {f"{name.rpartition('.')[0]}.module.{name.rpartition('.')[2]}": t for name, t in tensors.items()}


def save_zoo(path: Path, monkeypatch: pytest.MonkeyPatch, tensors: dict[str, Tensor], **options) -> Path:
    """Write a checkpoint whose config object has the zoo's class, which does not exist when it is read."""
    module = types.ModuleType("models.utils.config")
    config_class = type("BaseConfig", (), {"__module__": "models.utils.config"})
    module.BaseConfig = config_class
    config = config_class()
    config.depthScale0, config.alpha, config.lossCriterion, config.depthOtherScales = (
        512,
        0,
        "WGANGP",
        [512, 256],
    )
    other = zoo_tensors(seed=9)  # not the averaged generator
    with monkeypatch.context() as patch:
        for name in ("models", "models.utils"):
            patch.setitem(sys.modules, name, types.ModuleType(name))
        patch.setitem(sys.modules, "models.utils.config", module)
        torch.save({"config": config, "netG": other, "netD": other, "avgG": tensors}, path, **options)
    return path


def example_dcgan(image_size: int, latent_dim: int = 7, width: int = 2) -> nn.Sequential:
    """The generator of the PyTorch examples, with running statistics as after training."""
    torch.manual_seed(image_size)
    factors = [8, 4, 2, 1] if image_size == 64 else [16, 8, 4, 2, 1]
    layers: list[nn.Module] = [nn.ConvTranspose2d(latent_dim, width * factors[0], 4, 1, 0, bias=False)]
    for a, b in zip(factors, [*factors[1:], None], strict=True):
        layers += [nn.BatchNorm2d(width * a), nn.ReLU(True)]
        layers += [nn.ConvTranspose2d(width * a, width * b if b else 3, 4, 2, 1, bias=False)]
    network = nn.Sequential(*layers, nn.Tanh())
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight.data, module.running_var):
                tensor.uniform_(0.5, 2)
            for tensor in (module.bias.data, module.running_mean):
                tensor.normal_()
    return network.eval()


def example_state(network: nn.Sequential) -> dict[str, Tensor]:
    return {f"main.{name}": tensor for name, tensor in network.state_dict().items()}
