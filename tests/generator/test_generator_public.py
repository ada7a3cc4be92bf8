"""Public generators and safe loading: all checkpoints but one are built here, tiny, in the public layouts."""

import hashlib
import json
import math
import os
import pickle
import sys
import types
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor, nn

from ganrev.fetch import FetchError
from ganrev.generator import Generator, dcgan, embedded, pggan
from ganrev.generator.weights import file_digest, load_checkpoint, load_state, load_tensors
from ganrev.paths import config_dir

URL = "https://example.invalid/celeba-0123abcd.pth"
DEPTHS = (10, 8, 8, 6, 5, 4)  # 128 pixels, as the public one
LATENTS = 12


# --- checkpoints ---


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


class Payload:
    """An object that makes a folder when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable, tuple]:
        return os.mkdir, (str(self.marker),)


# --- every generator ---


@pytest.fixture(scope="module")
def embedded_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fresh weights, a visible convolutional branch and a card."""
    torch.manual_seed(0)
    network = embedded.EmbeddedNetwork()
    nn.init.normal_(network.to_rgb.weight, std=0.05)
    folder = tmp_path_factory.mktemp("embedded")
    (folder / "weights.json").write_text(json.dumps({"unseen_scale": 7.5, "data": "none"}))
    return embedded.save(network, folder / "weights.safetensors")


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


# --- embedded ---


def test_embedded_round_trip(embedded_file: Path) -> None:
    torch.manual_seed(0)
    fresh = embedded.EmbeddedNetwork()
    generator = embedded.load_embedded(embedded_file)
    torch.testing.assert_close(generator.linear.weight.data, fresh.linear.weight.data.half().float(), rtol=0, atol=0)
    assert generator.unseen_scale == 7.5
    assert embedded_file.stat().st_size < 25e6
    assert embedded_file.stat().st_size > 2 * sum(p.numel() for p in fresh.parameters())
    assert [path.name for path in embedded_file.parent.glob("*.partial")] == []


def test_embedded_inverts_its_linear_map_of_each_picture_by_itself(embedded_file: Path) -> None:
    # A fresh network draws the enlarged linear picture alone; its latents come back but for what enlarging blurs.
    generator = embedded.load_embedded(embedded_file)
    z = generator.sample_prior(3, torch.Generator().manual_seed(1))
    x = generator(z)
    guess = generator.invert_linear_map(x)
    assert guess.shape == (3, 512)
    assert guess.dtype == torch.float32
    assert (guess - z).square().mean() < 0.1 * z.square().mean()
    assert torch.equal(torch.cat([generator.invert_linear_map(row[None]) for row in x]), guess)


def test_embedded_scale(embedded_file: Path, tmp_path: Path) -> None:
    assert embedded.load_embedded(embedded_file, unseen_scale=3).unseen_scale == 3.0
    alone = tmp_path / "alone.safetensors"
    alone.symlink_to(embedded_file)
    assert embedded.load_embedded(alone).unseen_scale == 1.0
    card = tmp_path / "alone.json"
    for text, said in (
        ("{", "no JSON"),
        ("{}", "no key unseen_scale"),
        ('{"unseen_scale": -1}', "positive number"),
    ):
        card.write_text(text)
        with pytest.raises(ValueError, match=said):
            embedded.load_embedded(alone)
    assert embedded.load_embedded(alone, unseen_scale=2.0).unseen_scale == 2.0


def test_embedded_without_shipped_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, embedded_file: Path) -> None:
    monkeypatch.setattr(embedded, "weights_dir", lambda: tmp_path)
    with pytest.raises(ValueError, match=r"embedded\.safetensors, found nothing"):
        embedded.load_embedded()
    (tmp_path / "embedded.safetensors").symlink_to(embedded_file)
    with pytest.raises(ValueError, match=r"embedded\.json, found nothing"):
        embedded.load_embedded()
    (tmp_path / "embedded.json").write_text('{"unseen_scale": 4}')
    assert embedded.load_embedded().unseen_scale == 4.0


def test_embedded_refuses_damaged_and_foreign_files(embedded_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    content = embedded_file.read_bytes()
    for damaged in (b"", b"not tensors", content[:1000], content[:-1]):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="cannot be read as safetensors"):
            embedded.load_embedded(path)
    embedded_tensors = load_tensors(embedded_file)
    embedded.safetensors.torch.save_file({"other": torch.zeros(2)}, path)
    with pytest.raises(ValueError, match=r"missing: .*1 not expected: other"):
        embedded.load_embedded(path)
    embedded_tensors["dense.bias"][0] = math.nan
    embedded.safetensors.torch.save_file(embedded_tensors, path)
    with pytest.raises(ValueError, match=r"not finite, in dense\.bias"):
        embedded.load_embedded(path)


def test_embedded_save_refuses_what_float16_cannot_hold(tmp_path: Path) -> None:
    network = embedded.EmbeddedNetwork()
    network.to_rgb.bias.data[0] = 1e6
    with pytest.raises(ValueError, match=r"to_rgb\.bias cannot be stored"):
        embedded.save(network, tmp_path / "x.safetensors")
    assert list(tmp_path.iterdir()) == []


# --- pggan ---


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


# --- dcgan ---


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
    refused(good, "prior must be normal or uniform, got 'cauchy'", prior="cauchy")
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


# --- loading safely ---


def loaders() -> dict[str, Callable[[Path], object]]:
    return {
        "checkpoint": load_checkpoint,
        "pggan": lambda path: pggan.load_pggan(path, URL),
        "dcgan": dcgan.load_dcgan,
    }


@pytest.mark.parametrize("loader", loaders())
@pytest.mark.parametrize("form", ["zip", "legacy", "raw", "posing"])
def test_malicious_pickle_is_refused_and_not_executed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loader: str, form: str
) -> None:
    marker, path = tmp_path / "executed", tmp_path / "evil.pth"
    pickle.loads(pickle.dumps(Payload(marker)))
    marker.rmdir()  # so the payload works where unpickling is free
    content = {"avgG": zoo_tensors((6, 4)), "state_dict": Payload(marker)}
    if form == "raw":
        path.write_bytes(pickle.dumps(content, protocol=2))
    elif form == "posing":  # behind an allowed name
        save_zoo(path, monkeypatch, {"formatLayer.weight": Payload(marker)})
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(ValueError, match=r"refused|cannot be read as a torch checkpoint"):
        loaders()[loader](path)
    assert not marker.exists()


def test_refusal_names_the_culprit_and_gives_no_unsafe_advice(tmp_path: Path) -> None:
    torch.save({"a": Payload(tmp_path / "executed")}, tmp_path / "evil.pth")
    with pytest.raises(ValueError, match=r"evil\.pth asks for posix\.mkdir while loading") as caught:
        load_checkpoint(tmp_path / "evil.pth")
    assert "weights_only" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_whole_module_is_refused(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "module.pth")
    with pytest.raises(ValueError, match=r"asks for torch\.nn\.modules\.linear\.Linear .*plain state dict"):
        load_checkpoint(tmp_path / "module.pth")


@pytest.mark.parametrize("loader", loaders())
@pytest.mark.parametrize("zipped", [True, False])
def test_damaged_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loader: str, zipped: bool) -> None:
    path = tmp_path / "g.pth"
    good = save_zoo(path, monkeypatch, zoo_tensors((6, 4)), _use_new_zipfile_serialization=zipped).read_bytes()
    damaged = [
        b"",
        b"\x80",
        b"a text file\n" * 50,
        b"PK\x03\x04",
        good[:20],
        good[: len(good) // 2],
        good[1:],
    ]
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"g.pth (cannot be read as a torch checkpoint|asks for)"):
            loaders()[loader](path)


@pytest.mark.parametrize("loader", [*loaders(), "embedded", "digest"])
def test_missing_files_are_reported(tmp_path: Path, loader: str) -> None:
    load = (loaders() | {"embedded": embedded.load_embedded, "digest": file_digest})[loader]
    with pytest.raises(ValueError, match=r"absent\.pth, found nothing; give another one by generator.path="):
        load(tmp_path / "absent.pth")
    with pytest.raises(ValueError, match="found a folder"):
        load(tmp_path)


@pytest.mark.parametrize("options", [{"device": "meta"}, {"dtype": torch.complex64}, {"dtype": torch.bool}])
def test_load_state_refuses_tensors_that_are_no_weights(options: dict) -> None:
    tensors = {"weight": torch.zeros(1, 2, **options), "bias": torch.zeros(1)}
    with pytest.raises(ValueError, match=r"weight \(Tensor of another kind, not 1x2\)"):
        load_state(nn.Linear(2, 1), tensors, "file")


def test_load_state_casts_and_copies() -> None:
    network = nn.Linear(2, 1)
    tensors = {"weight": torch.ones(1, 2, dtype=torch.float16), "bias": torch.ones(1)}
    load_state(network, tensors, "file")
    tensors["bias"].zero_()
    assert network.weight.dtype == torch.float32
    assert network(torch.ones(1, 2)).item() == 3
