"""Latents outside the range of a uniform prior: left, moved to the border, or drawn again."""

import math

import pytest
import torch

from ganrev.reversal.reversing import clip_latents
from ganrev.reversal.settings import Reversal
from tests.reversal.small_descents import drawn, run


def streams(num_lanes):
    return [torch.Generator().manual_seed(lane) for lane in range(num_lanes)]


def test_no_clipping_leaves_latents_alone():
    z = torch.tensor([[3.0, -0.5], [0.2, -9.0]])
    before = z.clone()
    clip_latents(z, "none", streams(2))
    assert torch.equal(z, before)


def test_hard_clipping_moves_latents_to_the_border():
    z = torch.tensor([[3.0, -0.5], [0.2, -9.0]])
    clip_latents(z, "hard", streams(2))
    assert torch.equal(z, torch.tensor([[1.0, -0.5], [0.2, -1.0]]))


def test_stochastic_clipping_redraws_each_element_outside_and_no_other():
    z = torch.randn(40, 64, generator=torch.Generator().manual_seed(3)) * 1.5
    before = z.clone()
    outside = before.abs() > 1
    clip_latents(z, "stochastic", streams(40))
    assert torch.equal(z[~outside], before[~outside])
    redrawn = z[outside]
    assert redrawn.abs().max() <= 1
    assert len(redrawn.unique()) > 0.99 * len(redrawn)  # each by itself, not one scalar for all
    assert redrawn.mean().abs() < 0.1
    assert redrawn.std().item() == pytest.approx(1 / math.sqrt(3), abs=0.05)


def test_stochastic_clipping_draws_nothing_for_a_lane_inside():
    z = torch.full((2, 8), 0.5)
    z[1, 0] = 2.0
    rngs = streams(2)
    untouched, used = (rng.get_state().clone() for rng in rngs)
    clip_latents(z, "stochastic", rngs)
    assert torch.equal(rngs[0].get_state(), untouched)
    assert not torch.equal(rngs[1].get_state(), used)


@pytest.mark.parametrize("clip", ["hard", "stochastic"])
def test_clipped_latents_end_inside(clip):
    targets = drawn(3, scale=3.0)[1]
    free = run(targets, Reversal("adam", lr=0.1, steps=60))
    clipped = run(targets, Reversal("adam", lr=0.1, steps=60, clip=clip))
    assert free.z.abs().max() > 1
    assert clipped.z.abs().max() <= 1
