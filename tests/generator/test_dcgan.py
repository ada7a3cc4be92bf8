"""DCGAN: the layout of the PyTorch examples and its drawing."""

import math
import os
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from ganrev.fetch import FetchError
from ganrev.generator import Generator, dcgan
from ganrev.paths import config_dir
from tests.generator.checkpoints import example_dcgan, example_state, zoo_tensors


@pytest.mark.parametrize("image_size", [64, 128])
@pytest.mark.parametrize("nested", [None, "netG_state_dict", "state_dict", "netG"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_dcgan_draws_what_the_example_draws(tmp_path: Path, image_size: int, nested: str | None, prefix: str) -> None:
    example = example_dcgan(image_size)
    state = {prefix + name: tensor for name, tensor in example_state(example).items()}
    assert f"{prefix}main.{12 if image_size == 64 else 15}.weight" in state
    torch.save({nested: state, "epoch": 3} if nested else state, tmp_path / "g.pth")
    generator = dcgan.load_dcgan(tmp_path / "g.pth", prior="uniform", unseen_scale=4)
    assert (generator.latent_dim, generator.image_size) == (7, image_size)
    assert (generator.prior, generator.unseen_scale) == ("uniform", 4.0)
    z = generator.sample_prior(3, torch.Generator().manual_seed(2))
    torch.testing.assert_close(generator(z), example(z.view(3, 7, 1, 1)), atol=1e-6, rtol=1e-5)


def test_dcgan_reads_files_without_counters(tmp_path: Path) -> None:
    state = example_state(example_dcgan(64, latent_dim=3))
    old = {name: tensor for name, tensor in state.items() if "num_batches" not in name}
    assert len(old) < len(state)
    torch.save(old, tmp_path / "g.pth")
    assert dcgan.load_dcgan(tmp_path / "g.pth").latent_dim == 3


def test_dcgan_refuses_other_layouts_and_options(tmp_path: Path) -> None:
    path = tmp_path / "g.pth"
    good = example_state(example_dcgan(64))

    def refused(content: object, said: str, **options) -> None:
        torch.save(content, path)
        with pytest.raises(ValueError, match=said):
            dcgan.load_dcgan(path, **options)

    refused(zoo_tensors((6, 4)), "no tensor 'main.0.weight' of 4 axes")
    refused({"netG": 3}, "no state dict under 'netG'")
    refused([1, 2], "holds a list, expected a dictionary")
    refused({name: t for name, t in good.items() if name != "main.4.bias"}, r"1 missing: main\.4\.bias")
    refused(good | {"main.12.weight": torch.zeros(2, 1, 4, 4)}, r"main\.12\.weight \(2x1x4x4, not 2x3x4x4\)")
    refused(good | {"main.0.bias": torch.zeros(16)}, r"1 not expected: main\.0\.bias")
    refused(good | {"main.3.weight": good["main.3.weight"] * math.nan}, "not finite")
    refused(good, "generator.prior must be one of uniform, normal, got 'cauchy'", prior="cauchy")
    for scale in (0, -1.0, math.nan, math.inf, "5", True):
        refused(good, "unseen_scale must be a positive number", unseen_scale=scale)


@pytest.fixture(scope="module")
def digiface() -> Generator:
    """The trained generator out of the wheel, kept in the cache."""
    config = OmegaConf.load(config_dir() / "generator" / "dcgan_digiface.yaml")
    try:
        return instantiate(config)
    except Exception as error:
        cause = error.__cause__ if isinstance(error.__cause__, FetchError) else error
        if isinstance(cause, FetchError) and not os.environ.get("CI"):
            pytest.skip(f"the wheel of dcgan_digiface cannot be fetched: {cause}")
        raise


def test_dcgan_digiface(digiface: Generator) -> None:
    assert (digiface.latent_dim, digiface.image_size, digiface.prior) == (100, 64, "normal")
    assert digiface.digest == "0c3b90b138cfc4e8a73310b9fd5ce2a8f1f3a542a037de277412307fcd28771f"
    x = digiface(digiface.sample_prior(32, torch.Generator().manual_seed(0)))
    assert x.shape == (32, 3, 64, 64)
    assert x.std(dim=0).mean() > 0.2  # it does not draw one picture for all
    mean = x.mean(dim=0)
    skin, corners = mean[:, 24:40, 24:40].mean(dim=(1, 2)), mean[:, :8, :8].mean(dim=(1, 2))
    assert skin[0] > skin[1] > skin[2]  # a face is reddish in the middle
    assert skin[0] - skin[2] > 1.5 * (corners[0] - corners[2])
