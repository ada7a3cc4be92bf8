"""The density of faces: what is drawn has its moments, one by one; files are whole or refused."""

import dataclasses
import hashlib

import pytest
import safetensors.torch
import torch

from ganrev.generator.embedded import EmbeddedNetwork, latents_path, load_embedded, save
from ganrev.generator.face_prior import FacePrior, face_prior_path, load_face_prior, save_face_prior, weights_of
from ganrev.generator.weights import file_digest
from ganrev.paths import weights_dir
from tests.tiny import TinyGenerator


@pytest.fixture(scope="module")
def prior() -> FacePrior:
    return FacePrior(
        leading=torch.tensor([0, 2]),
        shares=torch.tensor([0.25, 0.75]),
        means=torch.tensor([[4.0, 0.0], [-4.0, 1.0]]),
        factors=torch.tensor([[[0.5, 0.0], [0.0, 1.0]], [[0.5, 0.0], [0.5, 1.0]]]),
        slope=torch.tensor([[0.5, 0.0]]),
        offset=torch.tensor([10.0]),
        rest_factor=torch.tensor([[0.1]]),
        stretch=torch.zeros(2),
        rest_stretch=torch.zeros(6),
    )


def test_samples_have_the_moments_of_the_density(prior):
    z = prior.sample(4000, torch.Generator().manual_seed(0))
    assert (z.shape, z.dtype) == ((4000, 3), torch.float32)
    first = z[:, 0] > 0
    assert float(first.float().mean()) == pytest.approx(0.25, abs=0.03)
    assert float(z[~first, 0].mean()) == pytest.approx(-4, abs=0.05)
    assert float(torch.corrcoef(z[~first][:, [0, 2]].T)[0, 1]) == pytest.approx(0.447, abs=0.05)
    assert float((z[:, 1] - 0.5 * z[:, 0]).mean()) == pytest.approx(10, abs=0.02)
    assert float((z[:, 1] - 0.5 * z[:, 0]).std()) == pytest.approx(0.1, abs=0.01)


def test_a_sample_is_stretched_as_a_whole(prior):
    """By a factor of its own; the other latents by one that follows the leading ones and their squares."""
    stretched = dataclasses.replace(
        prior, stretch=torch.tensor([1.0, 0.5]), rest_stretch=torch.tensor([0.5, 0.0, 0.0, -0.5, 0.25, 0.0])
    )
    plain, z = (one.sample(4000, torch.Generator().manual_seed(0)) for one in (prior, stretched))
    laws = prior.means[(plain[:, 0] < 0).long()]
    factors = (z[:, [0, 2]] - laws) / (plain[:, [0, 2]] - laws)
    assert torch.allclose(factors[:, 0], factors[:, 1], rtol=1e-2, atol=1e-2)
    logarithms = 2 * factors[:, 0].log()
    assert float(logarithms.mean()) == pytest.approx(1.0, abs=0.03)
    assert float(logarithms.std()) == pytest.approx(0.5, abs=0.03)
    rest, rest_plain = (one[:, 1] - 0.5 * one[:, 0] - 10 for one in (z, plain))
    expected = (0.5 * z[:, 0] - 0.5 * z[:, 2].square() + 0.25).clamp(-8, 8)
    assert torch.allclose(rest, rest_plain * (expected / 2).exp(), atol=1e-4)


def test_no_sample_depends_on_their_number(prior):
    several, alone = (prior.sample(num, torch.Generator().manual_seed(1)) for num in (3, 1))
    assert torch.equal(several[:1], alone)


def test_files(prior, tmp_path):
    weights = tmp_path / "mine.safetensors"
    weights.write_bytes(b"weights")
    path = save_face_prior(prior, weights)
    assert weights_of(path) == hashlib.sha256(b"weights").hexdigest()
    assert path == face_prior_path(weights) == tmp_path / "mine.prior.safetensors"
    again = load_face_prior(path)
    for name, value in prior.tensors.items():
        assert torch.allclose(again.tensors[name].double(), value.double(), atol=1e-3)


def test_damaged_files(prior, tmp_path):
    path = tmp_path / "a.prior.safetensors"
    tensors = prior.tensors
    for broken in (
        {k: v for k, v in tensors.items() if k != "means"},
        tensors | {"means": torch.zeros(3, 2)},
        tensors | {"offset": torch.tensor([float("nan")])},
        tensors | {"leading": torch.tensor([0, 3])},
        tensors | {"leading": torch.tensor([1, 1])},
        tensors | {"shares": torch.tensor([-0.5, 1.5])},
        tensors | {"shares": torch.zeros(2)},
        tensors | {"shares": torch.tensor(1.0)},
        {k: v for k, v in tensors.items() if k != "stretch"},
        tensors | {"rest_stretch": torch.zeros(5)},
        tensors | {"leading": torch.tensor([0.0, 2.0])},
        tensors | {"leading": torch.tensor([True, False])},
        {name: value[:0] for name, value in tensors.items()},
    ):
        safetensors.torch.save_file(broken, path)
        with pytest.raises(ValueError, match="no density of faces"):
            load_face_prior(path)
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="cannot be read as safetensors"):
        load_face_prior(path)


def test_a_generator_draws_from_it_where_it_has_one(prior):
    generator = TinyGenerator()
    rng = torch.Generator().manual_seed(0)
    with pytest.raises(ValueError, match="no density of faces beside them"):
        generator.sample(1, rng, "faces")
    generator.face_prior = dataclasses.replace(prior)
    assert generator.sample(2, rng, "faces").shape == (2, 3)
    cube = generator.sample(2, torch.Generator().manual_seed(0))
    assert torch.equal(cube, generator.sample_prior(2, torch.Generator().manual_seed(0)))


def _refuses_to_draw(weights, match):
    """Weights load and decode without a density; they say why there is none when one is to be drawn from."""
    network = load_embedded(weights)
    with pytest.raises(ValueError, match=match):
        network.sample(1, torch.Generator(), "faces")
    assert network.sample(1, torch.Generator()).shape == (1, 512)


def test_a_damaged_density_or_an_earlier_one_is_not_drawn_from(tmp_path):
    weights = tmp_path / "mine.safetensors"
    shipped = weights_dir() / "embedded.safetensors"
    weights.write_bytes(shipped.read_bytes())
    face_prior_path(weights).write_bytes(b"nothing")
    _refuses_to_draw(weights, r"mine\.prior\.safetensors cannot be read as safetensors")
    earlier = {k: v for k, v in load_face_prior_tensors(shipped).items() if "stretch" not in k}
    face_prior_path(weights).write_bytes(safetensors.torch.save(earlier, {"weights": file_digest(weights)}))
    _refuses_to_draw(weights, r"no density of faces \(.*'stretch'.*\); take .* or fit one by `ganrev face-prior`")


def test_a_density_of_other_latents_than_the_weights_have_is_refused(prior, tmp_path):
    weights = tmp_path / "mine.safetensors"
    weights.write_bytes((weights_dir() / "embedded.safetensors").read_bytes())
    save_face_prior(prior, weights)
    _refuses_to_draw(weights, r"density over 3 latents, and these weights have 512; .* by `ganrev face-prior`")
    latents_path(weights).write_bytes(safetensors.torch.save({"deviations": torch.ones(512)}))
    with pytest.raises(ValueError, match=r"mine\.latents\.safetensors is no table of latents"):
        load_embedded(weights)


def test_a_density_of_other_weights_is_not_drawn_from(tmp_path):
    """They load and decode without it; a density that was fitted again is theirs."""
    weights = tmp_path / "mine.safetensors"
    torch.manual_seed(0)
    save(EmbeddedNetwork(), weights)
    shipped = weights_dir() / "embedded.safetensors"
    for foreign in (face_prior_path(shipped).read_bytes(), safetensors.torch.save(load_face_prior_tensors(shipped))):
        face_prior_path(weights).write_bytes(foreign)
        _refuses_to_draw(weights, r"mine\.prior\.safetensors was fitted to other weights than those of mine")
    save_face_prior(load_face_prior(face_prior_path(shipped)), weights)
    assert load_embedded(weights).sample(1, torch.Generator(), "faces").shape == (1, 512)


def load_face_prior_tensors(weights):
    return load_face_prior(face_prior_path(weights)).tensors


def test_the_shipped_density_is_that_of_the_shipped_weights():
    z = load_embedded().sample(1, torch.Generator().manual_seed(0), "faces")
    assert z[0, :3].tolist() == pytest.approx([-1.07326, -0.08474, -0.06085], abs=1e-4)
