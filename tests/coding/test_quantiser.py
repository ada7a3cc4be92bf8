"""Rounding of latents."""

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from hypothesis import given, settings
from hypothesis import strategies as st

from ganrev.coding import quantiser
from ganrev.coding.quantiser import (
    SYMBOL_LIMIT,
    Quantiser,
    RateDistortion,
    ScaledQuantiser,
    dequantise,
    quantise,
    step_size_for,
)
from ganrev.paths import config_dir
from tests.tiny import compose_config

steps = st.floats(2**-10, 10, width=32)
latents = st.lists(st.floats(-20, 20, width=32), min_size=1, max_size=30).map(torch.tensor)


@settings(deadline=None)  # the machine may be busy
@given(latents, steps)
def test_a_latent_moves_by_half_a_step_at_most(z, step):
    symbols = quantise(z, step)
    assert symbols.dtype == torch.int32
    assert symbols.shape == z.shape
    moved = (dequantise(symbols, step) - z).abs().max()
    assert moved <= step / 2 * (1 + 1e-5) + 1e-5


@settings(deadline=None)  # the machine may be busy
@given(latents, steps)
def test_decoded_latents_quantise_to_the_same_symbols(z, step):
    symbols = quantise(z, step)
    assert torch.equal(quantise(dequantise(symbols, step), step), symbols)


@settings(deadline=None)  # the machine may be busy
@given(latents, steps)
def test_symbols_are_odd_in_z(z, step):
    assert torch.equal(quantise(-z, step), -quantise(z, step))


def test_symbols_are_clamped_to_what_int16_holds():
    z = torch.tensor([[1e30, -1e30, 3.0]])
    symbols = quantise(z, 1e-3)
    assert symbols.tolist() == [[SYMBOL_LIMIT, -SYMBOL_LIMIT, 3000]]
    assert np.iinfo(np.int16).max == SYMBOL_LIMIT


def test_without_a_step_latents_stay_as_they_are():
    z = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    kept = quantise(z, 0.0)
    assert kept.dtype == torch.float32
    assert torch.equal(dequantise(kept, 0.0), z)
    assert Quantiser(None).stored_step_size(5.0, 1.0) == 0.0


def test_extreme_on_seen_latents_is_ternary_and_standard_has_21_levels():
    z = torch.linspace(-1, 1, 10001)
    extreme = instantiate(compose_config("quant=extreme").quant)
    standard = instantiate(compose_config("quant=standard").quant)
    assert quantise(z, extreme.stored_step_size(1, 1.0)).unique().tolist() == [-1, 0, 1]
    assert quantise(z, standard.stored_step_size(1, 1.0)).unique().tolist() == list(range(-10, 11))


def test_extreme_on_the_papers_unseen_latents_has_31_levels():
    z = torch.linspace(-3, 3, 10001)  # times 5: -15 to 15
    assert quantise(z, Quantiser(1.0).stored_step_size(5.0, 1.0)).unique().tolist() == list(range(-15, 16))


def test_latent_scale_multiplies_z_before_rounding():
    z = torch.tensor([0.6, -0.3, 0.11])
    assert quantise(z, Quantiser(1.0).stored_step_size(4.0, 1.0)).tolist() == [2, -1, 0]


@settings(deadline=None)  # the machine may be busy
@given(steps, st.floats(2**-6, 100))
def test_the_step_is_the_one_that_the_file_stores(step, scale):
    in_z = Quantiser(step).stored_step_size(scale, 1.0)
    assert in_z == float(np.float32(in_z))
    assert in_z == pytest.approx(step / scale, rel=1e-6)


@pytest.mark.parametrize("step", [0, -1, float("nan"), float("inf"), "wide", True])
def test_a_step_must_be_a_positive_number(step):
    with pytest.raises(ValueError, match=r"quant\.step must be a positive number.*got"):
        Quantiser(step)


@pytest.mark.parametrize(("step", "scale"), [(1e-50, 1.0), (1e-30, 1e20), (1e39, 1.0)])
def test_a_step_that_the_file_cannot_hold_is_refused(step, scale):
    with pytest.raises(ValueError, match=r"cannot be stored as float32"):
        Quantiser(step).stored_step_size(scale, 1.0)


@pytest.mark.parametrize("config", sorted(p.stem for p in (config_dir() / "quant").glob("*.yaml")))
def test_every_config_is_a_quantiser(config):
    step = instantiate(compose_config(f"quant={config}").quant).stored_step_size(2.0, 1.0)
    z = torch.tensor([0.0, 1.0, -3.0])
    assert (dequantise(quantise(z, step), step) - z).abs().max() <= step / 2 + 1e-6


def test_any_step_by_an_override():
    assert instantiate(compose_config("quant.step=0.25").quant).step == 0.25


def test_the_step_that_suits_lambda_balances_a_bit_and_the_loss():
    """By hand: c s^2 = 12 (lambda / 8) / ln 2, times the factor that the search's own rounding allows."""
    balance = (12 * 0.002 / (8 * 0.6931471805599453 * 0.5)) ** 0.5
    assert step_size_for(0.002, 0.5) == pytest.approx(quantiser._COARSER * balance, rel=2**-8)
    assert step_size_for(0.008, 0.5) == pytest.approx(2 * step_size_for(0.002, 0.5), rel=2**-7)
    assert step_size_for(0.002, 2.0) == pytest.approx(step_size_for(0.002, 0.5) / 2, rel=2**-7)


def test_rate_distortion_takes_its_step_from_lambda_or_as_it_is_given():
    assert RateDistortion(lmbda=0.002).stored_step_size(7.0, 0.5) == step_size_for(0.002, 0.5)
    given = RateDistortion(lmbda=0.002, step=0.3)
    assert given.stored_step_size(7.0, 0.5) == ScaledQuantiser(0.3).stored_step_size(1.0, 9.0)
    assert given.stored_step_size(7.0, 0.5) == float(torch.tensor(0.3).bfloat16())


@pytest.mark.parametrize("step", [1e-45, 1e300])
def test_a_given_step_of_rate_distortion_must_fit_the_file(step):
    with pytest.raises(ValueError, match="cannot be stored"):
        RateDistortion(lmbda=0.002, step=step).stored_step_size(1.0, 1.0)
