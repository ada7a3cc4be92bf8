"""Fitting the density of faces."""

import pytest
import torch

from ganrev.generator.embedded import EmbeddedNetwork
from ganrev.pixels import to_images, to_x
from ganrev.train import face_prior
from ganrev.train.face_prior import fit, proposed_latents
from tests.tiny import smooth_images


def test_a_fitted_density_has_the_moments_of_the_latents():
    pytest.importorskip("sklearn")
    rng = torch.Generator().manual_seed(0)
    mixed = torch.randn(6, 6, generator=rng)
    z = torch.randn(3000, 6, generator=rng) @ mixed + torch.arange(6)
    z[:1000, 0] += 5
    prior = fit(z, torch.tensor([0.0, 3.0, 1.0, 2.0, 0.0, 0.0]), num_leading=3, num_laws=2)
    drawn = prior.sample(3000, torch.Generator().manual_seed(1))
    assert torch.allclose(drawn.mean(0), z.mean(0), atol=0.35)
    assert prior.leading.tolist() == [1, 2, 3]
    some = prior.leading
    assert torch.allclose(torch.cov(drawn[:, some].T), torch.cov(z[:, some].T), rtol=0.15, atol=0.8)
    assert 0.5 < float(drawn.var() / z.var()) < 1.01  # the others vary less than they did
    assert prior.latent_dim == 6


def test_deviations_that_grow_together_are_found():
    """Latents of which some faces have larger ones throughout: samples spread as unevenly as they do."""
    pytest.importorskip("sklearn")
    rng = torch.Generator().manual_seed(0)
    contrast = (0.4 * torch.randn(4000, 1, generator=rng)).exp()
    prior = fit(contrast * torch.randn(4000, 24, generator=rng), torch.ones(24), num_leading=12, num_laws=1)
    assert float(prior.stretch[1]) == pytest.approx(0.8, abs=0.08)  # of the square's logarithm
    drawn = prior.sample(2000, torch.Generator().manual_seed(1))
    leading, others = (drawn[:, some].square().mean(1).log() for some in (prior.leading, torch.arange(12, 24)))
    assert float(leading.std()) == pytest.approx((0.8**2 + 2 / 12) ** 0.5, abs=0.08)
    assert float(torch.corrcoef(torch.stack([leading, others]))[0, 1]) > 0.4


def test_mistakes(monkeypatch):
    with pytest.raises(ValueError, match="more faces than the 4 latents"):
        fit(torch.randn(4, 4), torch.ones(4), num_leading=2)
    with pytest.raises(ValueError, match="fewer leading ones"):
        fit(torch.randn(9, 4), torch.ones(4), num_leading=4)
    monkeypatch.setattr(face_prior, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="needs scikit-learn: pip install"):
        fit(torch.randn(9, 4), torch.ones(4), num_leading=2)


def test_proposals_are_the_generators_own():
    torch.manual_seed(0)
    network = EmbeddedNetwork().freeze()
    faces = to_images(to_x(smooth_images(2, 128)))
    proposed = proposed_latents(network, faces)
    assert proposed.shape == (4, 512)
    assert torch.allclose(proposed[:2], network.invert_linear_map(to_x(faces)), atol=1e-3, rtol=1e-3)
