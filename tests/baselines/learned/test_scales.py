"""Scale codes in whole numbers: what the network would say, exactly, wherever it is computed."""

import numpy as np
import pytest
import torch

from baselines.learned.rates import NUM_KNOTS, knot_weights, whole_between_knots
from baselines.learned.scales import PredictedScales
from ganrev.coding.range_coder import CODES_PER_OCTAVE, code_lengths
from ganrev.generator.grid_prior import laplace_bits

CHANNELS, HYPER, SIDE = 5, 3, 8


@pytest.fixture(scope="module")
def scales():
    torch.manual_seed(1)
    made = PredictedScales(CHANNELS, HYPER, SIDE, torch.randn(CHANNELS, SIDE, SIDE), torch.randn(NUM_KNOTS, CHANNELS))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_((parameter + 0.1 * torch.randn(parameter.shape)).half())
    return made.requires_grad_(False)


@pytest.mark.parametrize("quality", [0, 7, 50, 100])
def test_whole_numbers_follow_the_network(scales, quality):
    hyper = torch.randint(-4, 5, (HYPER, SIDE // 2, SIDE // 2), generator=torch.Generator().manual_seed(quality))
    wanted = CODES_PER_OCTAVE * scales(hyper[None].float(), torch.tensor([float(quality)]))[0].flatten()
    codes = scales.codes(hyper.flatten().numpy().astype(np.int32), quality)
    assert codes.dtype == np.int64
    assert np.abs(codes - wanted.clamp(-32, 64).numpy()).max() < 0.7  # half a code, and the rounding of weights


def test_symbols_of_any_size_are_taken(scales):
    largest = np.full(HYPER * SIDE**2 // 4, 32767, np.int32)
    assert np.array_equal(scales.codes(largest, 50), scales.codes(np.full_like(largest, 255), 50))


def test_between_knots():
    table = np.array([[0], [100], [-3], [0], [0], [7]])
    assert [int(whole_between_knots(table, q)[0]) for q in (0, 5, 20, 30, 41, 100)] == [0, 25, 100, 48, -3, 7]


def test_weights_of_knots_add_up():
    weights = knot_weights(torch.linspace(0, 100, 37))
    assert weights.shape == (37, NUM_KNOTS)
    assert torch.allclose(weights.sum(1), torch.ones(37))


def test_estimated_bits_are_the_range_coders():
    for code in (-16, 0, 12, 30):
        symbols = torch.arange(-3.0, 4.0)
        bits = laplace_bits(symbols, torch.full_like(symbols, code / CODES_PER_OCTAVE))
        wanted = code_lengths(code, 3)
        assert np.allclose(bits.numpy()[wanted < 18], wanted[wanted < 18], atol=0.02)
