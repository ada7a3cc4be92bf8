"""What every generator offers, each by its own config."""

import hashlib
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from ganrev.generator import Generator
from ganrev.paths import config_dir
from tests.generator.checkpoints import example_dcgan, example_state, save_zoo, wrapped, zoo_tensors


@pytest.fixture(params=["embedded", "pggan", "dcgan"])
def loaded(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, embedded_file: Path
) -> tuple[Generator, Path]:
    """Each generator by its own config, and its file."""
    if request.param == "embedded":
        path = embedded_file
    elif request.param == "pggan":
        path = save_zoo(tmp_path / "zoo.pth", monkeypatch, wrapped(zoo_tensors()))
    else:
        path = tmp_path / "dcgan.pth"
        torch.save(example_state(example_dcgan(64)), path)
    config = OmegaConf.load(config_dir() / "generator" / f"{request.param}.yaml")
    config.path = str(path)
    before = torch.get_rng_state()
    generator = instantiate(config)
    assert torch.equal(torch.get_rng_state(), before)  # loading must not disturb anyone's random numbers
    return generator, path


def test_interface(loaded: tuple[Generator, Path]) -> None:
    generator, path = loaded
    assert not generator.training
    assert not any(parameter.requires_grad for parameter in generator.parameters())
    assert generator.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert all(tensor.dtype == torch.float32 for tensor in generator.parameters())
    z = generator.sample_prior(3, torch.Generator().manual_seed(1)).requires_grad_(True)
    x = generator(z)
    assert x.shape == (3, 3, generator.image_size, generator.image_size)
    assert x.dtype == torch.float32
    x.square().sum().backward()
    assert (z.grad.abs().amax(dim=1) > 0).all()
    alone = torch.cat([generator(row[None]) for row in z])
    torch.testing.assert_close(alone, x, atol=1e-4, rtol=1e-4)


def test_bfloat16_copy_draws_the_same_in_float32(loaded: tuple[Generator, Path]) -> None:
    generator, _ = loaded
    z = generator.sample_prior(2, torch.Generator().manual_seed(1))
    exact = generator(z)
    rough = generator.to(torch.bfloat16, memory_format=torch.channels_last)(z)
    assert rough.dtype == torch.float32
    assert 0 < (rough - exact).square().mean() < 1e-3 * exact.square().mean()


def test_configs_of_the_public_checkpoints() -> None:
    folder = config_dir() / "generator"
    url = OmegaConf.load(folder / "pggan.yaml").url
    assert url == "https://dl.fbaipublicfiles.com/gan_zoo/PGAN/celebaCropped_s5_i83000-2b0acc76.pth"
    assert OmegaConf.is_missing(OmegaConf.load(folder / "dcgan.yaml"), "path")
