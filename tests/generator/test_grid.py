"""Latents beyond z: what they draw, and that z alone draws as before."""

import copy

import pytest
import torch

from ganrev.generator import embedded
from ganrev.generator.base import Generator
from ganrev.generator.grid import LappedGrid
from ganrev.generator.grid_prior import GridPrior, group_slices, laplace_bits
from tests.tiny import TinyGenerator, TinyGridGenerator


@pytest.fixture(scope="module")
def with_grid(tmp_path_factory: pytest.TempPathFactory) -> tuple[embedded.EmbeddedNetwork, embedded.EmbeddedNetwork]:
    """Return a network with a grid of random weights, and the same without one, both read from files."""
    folder = tmp_path_factory.mktemp("grid")
    torch.manual_seed(0)
    network = embedded.EmbeddedNetwork()
    torch.nn.init.normal_(network.to_rgb.weight, std=0.05)
    plain = embedded.load_embedded(embedded.save(network, folder / "plain.safetensors"))
    grid = network.add_grid()
    for weight in (grid.atoms, grid.tell2.weight, grid.tell64.weight, grid.tell128.weight, grid.late["to_rgb"].weight):
        torch.nn.init.normal_(weight, std=0.05)
    return embedded.load_embedded(embedded.save(network, folder / "grid.safetensors")), plain


def test_z_alone_draws_as_it_does_without_a_grid(
    with_grid: tuple[embedded.EmbeddedNetwork, embedded.EmbeddedNetwork],
) -> None:
    network, plain = with_grid
    z = network.sample_prior(2, torch.Generator().manual_seed(1))
    assert torch.equal(network(z), plain(z))
    assert plain.grid is None
    assert network.num_latents("all") == 512 + 48 * 16 * 16
    with pytest.raises(ValueError, match="no latents beyond z; take latent=z"):
        plain.num_latents("all")
    with pytest.raises(ValueError, match="got 12800 latents, these weights have 512"):
        plain(torch.zeros(1, 12800))


def test_grid_draws_each_picture_alike_alone_and_in_a_batch(
    with_grid: tuple[embedded.EmbeddedNetwork, embedded.EmbeddedNetwork],
) -> None:
    network, _ = with_grid
    quick = copy.deepcopy(network).to(torch.bfloat16, memory_format=torch.channels_last)
    latents = torch.randn(3, 12800, generator=torch.Generator().manual_seed(2))
    drawn = quick(latents)
    assert drawn.shape == (3, 3, 128, 128)
    assert drawn.dtype == torch.float32
    assert torch.equal(torch.cat([quick(row[None]) for row in latents]), drawn)


def test_atoms_are_drawn_by_a_lapped_transform(
    with_grid: tuple[embedded.EmbeddedNetwork, embedded.EmbeddedNetwork],
) -> None:
    grid = with_grid[0].grid
    assert isinstance(grid, LappedGrid)
    latents = torch.randn(2, *grid.shape, generator=torch.Generator().manual_seed(3))
    expected = torch.nn.functional.conv_transpose2d(latents, grid.atoms, stride=8, padding=4)
    torch.testing.assert_close(grid.draw(latents), expected)


def test_start_from_residuals_finds_their_principal_components() -> None:
    network = embedded.EmbeddedNetwork()
    grid = network.add_grid()
    pattern = torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(4))
    pattern /= pattern.norm()
    weights = torch.randn(4, 1, 16, 1, 16, 1, generator=torch.Generator().manual_seed(5))
    residuals = (pattern[None, :, None, :, None] * weights).reshape(4, 3, 128, 128)
    grid.start_from_residuals(residuals)
    first = grid.atoms[0, :, 4:12, 4:12]
    torch.testing.assert_close((first * pattern).sum().abs(), torch.tensor(1.0))
    proposed = grid.propose(residuals, torch.zeros(4)).unflatten(1, grid.shape)
    torch.testing.assert_close(grid.draw(proposed), residuals, atol=1e-3, rtol=0)


def test_prior_sees_only_what_is_decoded_before() -> None:
    torch.manual_seed(0)
    prior = GridPrior(7, 4, hidden=3)
    torch.nn.init.normal_(prior.before.weight)
    symbols, thumbnails, told = torch.zeros(1, 7, 4, 4), torch.randn(1, 3, 4, 4), torch.zeros(1)
    before = prior(symbols, thumbnails, told)
    second = prior.second.bool()
    for group in group_slices(7):
        for turn, here in enumerate((~second, second)):
            changed = symbols.clone()
            changed[:, group] = torch.where(here, 3.0, changed[:, group])
            other = prior(changed, thumbnails, told)
            assert torch.equal(other[:, : group.start], before[:, : group.start])
            assert torch.equal(other[:, group][..., ~second], before[:, group][..., ~second])
            if turn:
                assert torch.equal(other[:, group], before[:, group])
            if group.stop < 7:
                assert not torch.equal(other[:, group.stop :], before[:, group.stop :])


def test_laplace_bits_are_code_lengths() -> None:
    values = torch.arange(-400.0, 401.0)
    for log2_deviation in (-1.0, 0.0, 3.0):
        bits = laplace_bits(values, torch.tensor(log2_deviation))
        assert (2**-bits).sum().item() == pytest.approx(1, abs=1e-4)


def test_step_sizes_of_a_grid_follow_z() -> None:
    generator: Generator = TinyGridGenerator()
    sizes = generator.relative_step_sizes(generator.num_latents("all"))
    assert sizes.shape == (112,)
    assert sizes[16:].unique().tolist() == [4.0]
    assert torch.equal(generator.relative_step_sizes(16), generator.latent_step_sizes)
    with pytest.raises(ValueError, match="take latent=z"):
        TinyGenerator().num_latents("all")


def test_weights_of_the_prior_are_rounded() -> None:
    prior = GridPrior(2, 4)
    prior.round_weights()
    assert all(torch.equal((w * 1024).round(), w * 1024) for w in prior.parameters())
