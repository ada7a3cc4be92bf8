"""Progressive GAN: the zoo's layout, its drawing, its download."""

import math
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ganrev.generator import pggan
from ganrev.generator.weights import file_digest, load_checkpoint
from tests.generator.checkpoints import DEPTHS, LATENTS, URL, save_zoo, wrapped, zoo_tensors


def zoo_forward(tensors: dict[str, Tensor], z: Tensor) -> Tensor:
    """The zoo's forward pass, plainly: every layer is (Wx + b) * sqrt(2 / fan_in)."""

    def normalise(h: Tensor) -> Tensor:
        return h / torch.sqrt((h**2).mean(dim=1, keepdim=True) + 1e-8)

    def layer(name: str, h: Tensor) -> Tensor:
        weight, bias = tensors[f"{name}.weight"].double(), tensors[f"{name}.bias"].double()
        he = math.sqrt(2 / math.prod(weight.shape[1:]))
        if weight.ndim == 2:
            return (h @ weight.T + bias) * he
        return F.conv2d(h, weight, bias, padding=weight.shape[-1] // 2) * he

    h = F.leaky_relu(layer("formatLayer", normalise(z.double())), 0.2)
    h = normalise(h.reshape(len(z), -1, 4, 4))
    h = normalise(F.leaky_relu(layer("groupScale0.0", h), 0.2))
    scale = 0
    while f"scaleLayers.{scale}.0.weight" in tensors:
        h = h.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        for part in (0, 1):
            h = normalise(F.leaky_relu(layer(f"scaleLayers.{scale}.{part}", h), 0.2))
        scale += 1
    return layer(f"toRGBLayers.{scale}", h)


@pytest.mark.parametrize("names", [wrapped, dict], ids=["module", "no module"])
@pytest.mark.parametrize("depths", [DEPTHS, (6, 4)], ids=["128", "8"])
@pytest.mark.parametrize("zipped", [True, False])
def test_pggan_draws_what_the_zoo_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: Callable, depths: tuple[int, ...], zipped: bool
) -> None:
    tensors = zoo_tensors(depths)
    options = {"_use_new_zipfile_serialization": zipped}
    path = save_zoo(tmp_path / "zoo.pth", monkeypatch, names(tensors), **options)
    generator = pggan.load_pggan(path, URL, unseen_scale=2.5)
    assert (generator.latent_dim, generator.image_size) == (LATENTS, 4 * 2 ** (len(depths) - 1))
    assert (generator.prior, generator.unseen_scale) == ("uniform", 2.5)
    z = generator.sample_prior(3, torch.Generator().manual_seed(2))
    expected = zoo_forward(tensors, z)
    torch.testing.assert_close(generator(z).double(), expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(generator(15 * z), generator(z), atol=1e-4, rtol=1e-4)
    assert expected.abs().max() > 1  # the comparison would fail if the output were clamped


def test_pggan_scales_the_biases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = zoo_tensors((6, 4))
    tensors["toRGBLayers.1.weight"].zero_()
    path = save_zoo(tmp_path / "zoo.pth", monkeypatch, tensors)
    drawn = pggan.load_pggan(path, URL)(torch.rand(1, LATENTS))
    expected = tensors["toRGBLayers.1.bias"] * math.sqrt(2 / 4)
    torch.testing.assert_close(drawn, expected.view(1, 3, 1, 1).expand(1, 3, 8, 8))


def test_pggan_survives_a_zero_latent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = pggan.load_pggan(save_zoo(tmp_path / "zoo.pth", monkeypatch, zoo_tensors((6, 4))), URL)
    z = torch.zeros(1, LATENTS, requires_grad=True)
    generator(z).sum().backward()
    assert z.grad.isfinite().all()


def test_pggan_allows_the_config_class_only_while_loading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = set(torch.serialization.get_safe_globals())
    path = save_zoo(tmp_path / "zoo.pth", monkeypatch, zoo_tensors((6, 4)))
    with pytest.raises(ValueError, match=r"asks for models\.utils\.config\.BaseConfig"):
        load_checkpoint(path)
    loaded = load_checkpoint(path, ["models.utils.config.BaseConfig"])
    assert loaded["config"].lossCriterion == "WGANGP"
    assert "models" not in sys.modules
    assert set(torch.serialization.get_safe_globals()) == before


def test_pggan_refuses_other_layouts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "zoo.pth"
    good = zoo_tensors((6, 4, 4))

    def refused(tensors: dict[str, Tensor], said: str) -> None:
        save_zoo(path, monkeypatch, tensors)
        with pytest.raises(ValueError, match=said):
            pggan.load_pggan(path, URL)

    torch.save({"netG": good}, path)
    with pytest.raises(ValueError, match=r"no state dict under 'avgG' .keys: netG"):
        pggan.load_pggan(path, URL)
    refused({}, "no tensor 'groupScale0.0.weight'")
    refused(
        {name: t for name, t in good.items() if name != "formatLayer.weight"},
        "no tensor 'formatLayer.weight'",
    )
    refused(
        {name: t for name, t in good.items() if name != "scaleLayers.0.1.bias"},
        r"1 missing: scales\.0\.1\.bias",
    )
    refused({name: t for name, t in good.items() if name != "toRGBLayers.2.bias"}, r"1 missing: to_rgb\.bias")
    refused(good | {7: torch.zeros(1)}, "1 not expected: 7")
    refused(good | {"surplus.weight": torch.zeros(1)}, r"1 not expected: surplus\.weight")
    refused(good | {"formatLayer.bias": torch.zeros(5)}, r"1 of another shape: dense\.bias \(5, not 96\)")
    refused(good | {"formatLayer.weight": "text"}, "no tensor 'formatLayer.weight'")
    refused(
        good | {"formatLayer.bias": good["formatLayer.bias"].to_sparse()},
        r"dense\.bias \(Tensor of another kind",
    )
    refused(good | {"formatLayer.bias": torch.full((96,), math.inf)}, "not finite")


def test_pggan_downloads_once_and_checks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("GANREV_CACHE", str(cache))
    saved = save_zoo(tmp_path / "zoo.pth", monkeypatch, zoo_tensors((6, 4)))
    served = saved.rename(tmp_path / f"celeba-{file_digest(saved)[:8]}.pth")
    first = pggan.load_pggan(None, served.as_uri())
    content = served.read_bytes()
    served.unlink()
    assert pggan.load_pggan(None, served.as_uri()).digest == first.digest
    assert [path.name for path in cache.iterdir()] == [served.name]
    (cache / served.name).write_bytes(content[:-100])
    with pytest.raises(ValueError, match="incomplete or altered; delete it"):
        pggan.load_pggan(None, served.as_uri())


def test_pggan_reports_a_failed_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("GANREV_CACHE", str(cache))
    absent = tmp_path / "celeba-0123abcd.pth"
    with pytest.raises(ValueError, match=r"cannot download .*elsewhere and give the file by generator.path="):
        pggan.load_pggan(None, absent.as_uri())
    absent.write_bytes(b"another file")
    with pytest.raises(ValueError, match=r'invalid hash value .expected "0123abcd"'):
        pggan.load_pggan(None, absent.as_uri())
    assert list(cache.iterdir()) == []
    with pytest.raises(ValueError, match=r"0123abcd..., as its name says"):
        pggan.load_pggan(absent, URL)  # the public file's name, another content
    with pytest.raises(ValueError, match="must name a file that ends in its hash"):
        pggan.load_pggan(None, "https://example.invalid/celeba.pth")
