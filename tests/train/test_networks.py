"""The trainer's principal components, and the encoder made of them."""

import pytest
import torch
import torch.nn.functional as F

from ganrev.data.corpus import load_corpus
from ganrev.generator.embedded import load_embedded
from ganrev.pixels import to_x
from ganrev.train.networks import Encoder, principal_components
from tests.tiny import smooth_images
from tests.train.miniature import compose_training


def test_principal_components_are_orthonormal_and_explain_the_faces():
    images = smooth_images(40, 32)
    mean, basis, std = principal_components(images, 20, 16, seed=0)
    assert (mean.shape, basis.shape, std.shape) == ((768,), (768, 20), (20,))
    assert torch.allclose(basis.T @ basis, torch.eye(20), atol=1e-4)
    rows = F.interpolate(to_x(images), size=16, mode="area")
    rows = torch.cat((rows, rows.flip(-1))).flatten(1) - mean
    assert rows.mean(dim=0).abs().max() < 1e-5
    assert torch.allclose((rows @ basis).square().mean(dim=0).sqrt(), std, rtol=1e-2)
    assert (std.diff() <= 0).all()
    exact = torch.linalg.svdvals(rows)[:20] / len(rows) ** 0.5
    assert torch.allclose(std, exact, rtol=1e-2)


def test_too_few_faces_have_no_components():
    assert principal_components(smooth_images(5, 32), 8, 16, seed=0)[1].shape == (768, 8)
    with pytest.raises(ValueError, match="512 principal components need at least 257 faces, got 12"):
        principal_components(smooth_images(12, 32), 512, 16, seed=0)


def test_the_first_milestone_draws_principal_components(undisturbed, place):
    mean, basis, std = torch.load(undisturbed / "components.pt", weights_only=True)
    generator = load_embedded(undisturbed / "pca.safetensors")
    x = to_x(load_corpus([place / "more"])[1][:6])
    spread = compose_training().train.spread
    small = F.interpolate(x, size=64, mode="area")
    with torch.no_grad():
        z = Encoder(mean, basis, std, spread * generator.prior_std)(x)
        drawn = generator(z)
    expected = F.interpolate(small, scale_factor=2, mode="bicubic", align_corners=False)
    assert (drawn - expected).square().mean() < 0.01 * (expected - expected.mean(dim=0)).square().mean()


def test_faces_have_latents_as_wide_as_the_recipe_says(undisturbed, place):
    components = torch.load(undisturbed / "components.pt", weights_only=True)
    x = to_x(load_corpus([place / "shard.tar", place / "more"])[1])
    with torch.no_grad():
        z = torch.cat([Encoder(*components, 1.33 * 3**-0.5)(part) for part in x.split(32)])
        narrow = Encoder(*components, 3**-0.5)(x[:4])
    assert torch.allclose(z.square().mean(dim=0).sqrt()[:400], torch.tensor(1.33 * 3**-0.5), rtol=0.03)
    assert torch.allclose(z[:4], 1.33 * narrow, atol=1e-3)
