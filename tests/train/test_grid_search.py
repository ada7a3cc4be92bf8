"""Symbols of faces in hand: prices, rounding, and the search for them."""

import pytest
import torch

from ganrev.coding.quantiser import step_size_for
from ganrev.generator.embedded import EmbeddedNetwork, load_embedded
from ganrev.reversal.losses import MSE, SSIM
from ganrev.train.grid_search import (
    GridSearch,
    LevelledLatents,
    MixedLoss,
    grid_of,
    priced_faces,
    round_at_random,
)
from tests.tiny import smooth_images
from tests.train.miniature import compose_training

CFG = compose_training().train
IMAGES = smooth_images(4, 128)


def test_mixtures_weigh_a_byte_alike():
    x, target = torch.rand(2, 1, 3, 32, 32) * 2 - 1
    mse, ssim = float(MSE()(x, target)), float(SSIM()(x, target))
    assert float(MixedLoss(1, 0)(x, target)) == pytest.approx(mse / MSE.curvature)
    assert float(MixedLoss(0, 5)(x, target)) == pytest.approx(ssim)
    assert float(MixedLoss(8, 1)(x, target)) == pytest.approx((8 * mse + ssim) / (8 * MSE.curvature + 1))


def test_a_batch_has_a_number_and_prices_within_bounds():
    faces, again, other = (priced_faces(CFG, IMAGES, number, 2) for number in (3, 3, 4))
    assert torch.equal(faces.x, again.x)
    assert torch.equal(faces.lmbda, again.lmbda)
    assert not torch.equal(faces.lmbda, other.lmbda)
    assert faces.x.shape == (2, 3, 128, 128)
    assert CFG.grid.lmbda_least <= faces.lmbda.min() <= faces.lmbda.max() <= CFG.grid.lmbda
    assert faces.step.tolist() == [step_size_for(float(price), 1.0) for price in faces.lmbda]


def test_rounding_hardens_as_the_temperature_falls():
    values = torch.tensor([0.1, 0.9, -1.2, 3.0])
    floor, up = round_at_random(values, 1e-3, torch.Generator().manual_seed(0))
    assert floor.tolist() == [0, 0, -2, 3]
    assert (floor + up).round().tolist() == [0, 1, -1, 3]
    assert torch.allclose(up, up.round(), atol=1e-3)
    draws = torch.stack([round_at_random(values, 5.0, torch.Generator().manual_seed(n))[1] for n in range(50)])
    assert draws[:, 0].std() > 0.05  # soft, and by chance


def test_only_a_network_with_a_grid_can_be_searched():
    with pytest.raises(ValueError, match="has one; add it with add_grid"):
        grid_of(EmbeddedNetwork())


def test_a_search_lowers_the_cost_and_leaves_the_network():
    network = load_embedded()
    grid = network.add_grid()
    faces = priced_faces(CFG, IMAGES, 0, 2)
    latents = LevelledLatents(network)
    z = latents.rounded_z(faces) * latents.units(faces)[:, :512]
    with torch.no_grad():
        grid.start_from_residuals(faces.x - network(z))
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    loss, search = MixedLoss(1, 0), GridSearch(latents, 12, 0.05)
    search.follow()
    held = search.begin(0, faces, loss, 2)
    assert held.symbols.shape == (2, network.num_latents("all"))

    def cost():
        symbols = held.symbols.detach().round()
        drawn = network(symbols * latents.units(faces))
        return float((loss(drawn, faces.x) + faces.lmbda * latents.num_bytes(symbols, faces)).mean().detach())

    with torch.no_grad():  # away from the proposals, which are good already
        held.symbols += torch.randn(held.symbols.shape, generator=torch.Generator().manual_seed(1))
    before = cost()
    search.move(held, 100, torch.Generator().manual_seed(0))
    assert held.passes == 12  # and no more
    assert cost() < before
    assert all(torch.equal(value, weights[name]) for name, value in network.state_dict().items())
