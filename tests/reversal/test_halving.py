"""Which restarts leave, and when."""

import math

import pytest
import torch

from ganrev.reversal.halving import Rung, num_lanes_after, outranked
from ganrev.reversal.settings import Reversal
from tests.reversal.small_descents import drawn, run


def halved(halving, restarts=5, steps=40):
    """Reverse three pictures; returns their targets and what was found."""
    _, targets = drawn(3)
    settings = Reversal("adam", lr=0.1, steps=steps, restarts=restarts, halving=halving)
    return run(targets.repeat_interleave(restarts, dim=0), settings)


@pytest.mark.parametrize("restarts", [2, 5])
def test_restarts_that_fall_behind_leave_and_disturb_nobody(restarts):
    everyone, fewer = halved(False, restarts), halved(True, restarts)
    assert not everyone.dropped.any()
    stayed = ~fewer.dropped
    assert (stayed.view(3, -1).sum(dim=1) == 1).all()
    torch.testing.assert_close(fewer.z[stayed], everyone.z[stayed], atol=1e-5, rtol=1e-5)
    num_steps = fewer.losses.isfinite().sum(dim=1).view(3, -1).sort(dim=1).values
    half = math.ceil(restarts / 2)
    assert num_steps.tolist() == [[5] * (restarts - half) + [13] * (half - 1) + [40]] * 3  # a tenth, three tenths
    at_the_verdict = everyone.losses[:, 12].view(3, -1)
    assert (at_the_verdict.argmin(dim=1) == stayed.view(3, -1).int().argmax(dim=1)).sum() >= 2


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_one_restart_stays_however_few_the_steps(steps):
    found = halved(True, steps=steps)
    assert ((~found.dropped).view(3, -1).sum(dim=1) == 1).all()


def test_who_has_left_never_outdoes_who_goes_on():
    losses = torch.tensor([0.9, 0.8, 0.3, 0.3, math.inf, math.inf, 0.3, 0.3])  # those that went on have risen since
    dropped = torch.tensor([False, False, True, True] * 2)
    assert (~outranked(losses, dropped, 4, 1)).nonzero().flatten().tolist() == [1, 4]
    assert outranked(losses, dropped, 4, 2).tolist() == dropped.tolist()


def test_restarts_leave_after_a_tenth_and_three_tenths_of_the_steps():
    rungs = Reversal(steps=40, restarts=5).rungs
    assert [num_lanes_after(rungs, num_done, 5) for num_done in (0, 4, 5, 12, 13, 40)] == [5, 5, 3, 3, 1, 1]
    assert Reversal(restarts=5, halving=False).rungs == ()


def test_rungs_say_how_many_go_on():
    rungs = [Rung(10, 4), Rung(30, 1)]
    assert [num_lanes_after(rungs, done, 8) for done in (0, 9, 10, 29, 30, 99)] == [8, 8, 4, 4, 1, 1]


def test_the_best_of_each_picture_stay_the_first_of_equals():
    losses = torch.tensor([0.3, 0.1, 0.2, math.inf, 0.5, 0.5])
    nobody = torch.zeros(6, dtype=torch.bool)
    assert outranked(losses, nobody, 3, 1).tolist() == [True, False, True, True, False, True]
    assert outranked(losses, nobody, 3, 2).tolist() == [True, False, False, True, False, False]
